// Shows new messages, without closing what the reader has opened.
for (const time of document.querySelectorAll("time[data-at]")) {
  const at = new Date(Number(time.dataset.at));
  time.textContent = at.toLocaleTimeString();
  time.title = at.toString();
}
const shown = Number(document.body.dataset.version);
const poll = setInterval(async () => {
  try {
    const { version } = await (await fetch("/version.json")).json();
    if (version === shown) return;
    clearInterval(poll);
    const isReading = document.querySelector("details[open]") || String(getSelection());
    if (isReading) document.getElementById("news").hidden = false;
    else location.reload();
  } catch {
    // The sandbox has ended; the page stays readable.
  }
}, 1000);
