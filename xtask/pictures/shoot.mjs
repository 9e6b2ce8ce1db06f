// Shoots the messages of a sandbox's inbox, and its mails as a reader's screen shows them.
//
//   node shoot.mjs PLACE FOLDER-OF-SLACK FOLDER-OF-MAIL
//
// Drives Chromium over a pipe: no package, no port.

import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [said, slackFolder, mailFolder] = process.argv.slice(2);
const place = JSON.parse(said);
const MOST_BYTES = 150_000;
const LEAST_CONTRAST = 4.5;
/** What is longer is shown from its top. */
const MOST_PIXELS = 640;
/** The messages by the channel that each was sent to. */
const FORMS = ["failed", "recovered", "thread", "update", "mention", "long"];
/** The mails by the address that each was sent to; the first is in the documentation. */
const MAILS = ["failed", "recovered", "long"];

const problems = [];
let pictures = 0;
let texts = 0;

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const browser = names.find((name) => spawnSync(name, ["--version"]).status === 0);
if (!browser) throw new Error(`none of these is on PATH: ${names.join(", ")}`);
const profile = mkdtempSync(join(tmpdir(), "notify-pictures-"));
const chromium = spawn(
  browser,
  ["--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
    "--no-first-run", "--force-color-profile=srgb", `--user-data-dir=${profile}`, "about:blank"],
  { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] },
);

// The protocol: one JSON object after the other, each ended by a zero byte.
const waiting = new Map();
const listeners = new Map();
let last = 0;
let rest = Buffer.alloc(0);
chromium.stdio[4].on("data", (piece) => {
  rest = Buffer.concat([rest, piece]);
  for (let end; (end = rest.indexOf(0)) >= 0; rest = rest.subarray(end + 1)) {
    const { id, error, result, method } = JSON.parse(rest.subarray(0, end));
    if (id) {
      const { resolve, reject } = waiting.get(id);
      waiting.delete(id);
      if (error) reject(new Error(error.message));
      else resolve(result);
    } else {
      listeners.get(method)?.();
      listeners.delete(method);
    }
  }
});
let sessionId;
const call = (method, params = {}) =>
  new Promise((resolve, reject) => {
    waiting.set(++last, { resolve, reject });
    chromium.stdio[3].write(`${JSON.stringify({ id: last, sessionId, method, params })}\0`);
  });
const once = (method) => new Promise((resolve) => listeners.set(method, resolve));

async function open(url, width, scheme) {
  await call("Emulation.setDeviceMetricsOverride", { width, height: 200, deviceScaleFactor: 1, mobile: false });
  const features = [{ name: "prefers-color-scheme", value: scheme }];
  await call("Emulation.setEmulatedMedia", { features });
  const loaded = once("Page.loadEventFired");
  await call("Page.navigate", { url });
  await loaded;
}

async function evaluate(code, ...values) {
  const expression = `(${code})(...${JSON.stringify(values)})`;
  const { result, exceptionDetails } = await call("Runtime.evaluate", { expression, returnByValue: true });
  if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails.exception));
  return result.value;
}

async function shoot(path, clip) {
  const shot = await call("Page.captureScreenshot", {
    format: "png",
    captureBeyondViewport: true,
    clip: { ...clip, scale: 1 },
  });
  const picture = Buffer.from(shot.data, "base64");
  if (picture.length > MOST_BYTES) problems.push(`${path}: ${picture.length} bytes`);
  writeFileSync(path, picture);
  pictures += 1;
}

/** In the page: what is too wide, and which text is too pale for its ground. */
function inspect(selector, least) {
  const problems = [];
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) problems.push(`${scrollWidth} px wide on a screen of ${clientWidth}`);
  const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const over = (colours) => {
    paint.clearRect(0, 0, 1, 1);
    for (const colour of colours) {
      paint.fillStyle = colour;
      paint.fillRect(0, 0, 1, 1);
    }
    return [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  // The ground of a page that says it knows the dark; of another it is white.
  const schemes = getComputedStyle(document.documentElement).colorScheme
    + document.querySelector("meta[name=color-scheme]")?.content;
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches && schemes.includes("dark");
  let texts = 0;
  const top = document.querySelector(selector);
  const walker = document.createTreeWalker(top, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode()); ) {
    const element = node.parentElement;
    const box = element.getBoundingClientRect();
    const style = getComputedStyle(element);
    if (!node.data.trim() || !box.width || style.visibility === "hidden") continue;
    if (/^(STYLE|TITLE|SCRIPT)$/.test(element.tagName)) continue;
    // Emoji have colours of their own.
    if (!/[\p{L}\p{N}]/u.test(node.data)) continue;
    const grounds = [];
    for (let one = element; one; one = one.parentElement) grounds.unshift(getComputedStyle(one).backgroundColor);
    const ground = [isDark ? "#121212" : "#ffffff", ...grounds];
    const [a, b] = [light(over(ground)), light(over([...ground, style.color]))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    texts += 1;
    if (contrast < least) problems.push(`contrast ${contrast.toFixed(2)}: ${node.data.trim().slice(0, 40)}`);
  }
  return { problems, texts };
}

/** In the page: the box of the newest message for a channel, without what changes from run to run. */
function frame(channel) {
  for (const time of document.querySelectorAll("time")) time.textContent = "02:14";
  const articles = [...document.querySelectorAll("article[id]")];
  const article = articles.find((one) => one.querySelector(".to").textContent === channel);
  if (!article) return null;
  article.setAttribute("data-shot", "");
  for (const part of article.children) {
    if (part.className === "conversation") part.style.margin = "0";
    else part.style.display = "none";
  }
  const { x, y, width, height } = article.getBoundingClientRect();
  return { x: x + scrollX, y: y + scrollY, width, height };
}

function told(name, { problems: found, texts: seen }) {
  texts += seen;
  problems.push(...found.map((problem) => `${name}: ${problem}`));
}

/** Has the workspace know the person that a message mentions, as a client does. */
async function meet(email) {
  const token = readFileSync(join(place.dir, "slack_token"), "utf8");
  const headers = { Authorization: `Bearer ${token}` };
  const body = new URLSearchParams({ email });
  const answer = await fetch(`${place.slack}users.lookupByEmail`, { method: "POST", headers, body });
  if (!(await answer.json()).ok) throw new Error(`nobody has the address ${email}`);
}

/** The whole page, on a phone and on a screen. */
async function page() {
  for (const width of [360, 1200]) {
    for (const scheme of ["light", "dark"]) {
      await open(place.inbox, width, scheme);
      told(`inbox at ${width}, ${scheme}`, await evaluate(inspect, "body", LEAST_CONTRAST));
    }
  }
}

async function messages() {
  mkdirSync(slackFolder, { recursive: true });
  for (const form of FORMS) {
    for (const scheme of ["dark", "light"]) {
      await open(place.inbox, 760, scheme);
      const clip = await evaluate(frame, `#${form}`);
      if (!clip) {
        problems.push(`no message in #${form}`);
        break;
      }
      told(`${form}, ${scheme}`, await evaluate(inspect, "[data-shot] .conversation", LEAST_CONTRAST));
      // The documentation shows what most readers have.
      const height = form === "long" ? Math.min(clip.height, MOST_PIXELS) : clip.height;
      if (scheme === "light") await shoot(join(slackFolder, `${form}.png`), { ...clip, height });
    }
  }
}

async function mails() {
  mkdirSync(mailFolder, { recursive: true });
  const all = await (await fetch(`${place.inbox}messages.json`)).json();
  for (const form of MAILS) {
    const mail = all.filter(({ to, html }) => html && to === `${form}@example.com`).at(-1);
    if (!mail) {
      problems.push(`no mail to ${form}@example.com`);
      continue;
    }
    const file = join(profile, "mail.html");
    writeFileSync(file, mail.html);
    for (const width of [320, 800]) {
      for (const scheme of ["light", "dark"]) {
        const name = `${form}-${width}-${scheme}`;
        await open(`file://${file}`, width, scheme);
        told(name, await evaluate(inspect, "body", LEAST_CONTRAST));
        if (form !== MAILS[0]) continue;
        const height = await evaluate(() => document.documentElement.scrollHeight);
        await shoot(join(mailFolder, `${name}.png`), { x: 0, y: 0, width, height });
      }
    }
  }
}

try {
  const { targetId } = (await call("Target.createTarget", { url: "about:blank" }));
  ({ sessionId } = await call("Target.attachToTarget", { targetId, flatten: true }));
  await call("Page.enable");
  await call("Emulation.setTimezoneOverride", { timezoneId: "UTC" });
  await meet("jane@example.com");
  await page();
  await messages();
  await mails();
} finally {
  chromium.kill();
  await new Promise((resolve) => chromium.once("exit", resolve));
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
}
for (const problem of problems) console.error(problem);
console.log(`${pictures} pictures, ${texts} texts looked at, ${problems.length} problems`);
process.exitCode = problems.length ? 1 : 0;
