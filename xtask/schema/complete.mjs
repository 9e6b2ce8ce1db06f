// Asks yaml-language-server what it offers in a definition, and what it says of a misspelt key.

import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [room, schema] = process.argv.slice(2);
const bin = join(room, "node_modules/yaml-language-server/bin/yaml-language-server");
const server = spawn(process.execPath, [bin, "--stdio"], { stdio: ["pipe", "pipe", "inherit"] });

let next = 0;
let buffer = Buffer.alloc(0);
const open = new Map();
const told = new Map();

function send(message) {
  const body = Buffer.from(JSON.stringify({ jsonrpc: "2.0", ...message }));
  server.stdin.write(`Content-Length: ${body.length}\r\n\r\n`);
  server.stdin.write(body);
}

function ask(method, params) {
  const id = ++next;
  send({ id, method, params });
  return new Promise((resolve, reject) => open.set(id, { resolve, reject }));
}

function take(message) {
  if (message.method === "workspace/configuration") {
    const settings = { validate: true, completion: true, schemaStore: { enable: false } };
    const of = (item) => (item.section === "yaml" ? settings : null);
    send({ id: message.id, result: message.params.items.map(of) });
  } else if (message.method && message.id !== undefined) {
    send({ id: message.id, result: null });
  } else if (message.method === "textDocument/publishDiagnostics") {
    told.get(message.params.uri)?.(message.params.diagnostics);
  } else if (message.id !== undefined && open.has(message.id)) {
    const { resolve, reject } = open.get(message.id);
    open.delete(message.id);
    message.error ? reject(new Error(message.error.message)) : resolve(message.result);
  }
}

server.stdout.on("data", (chunk) => {
  buffer = Buffer.concat([buffer, chunk]);
  for (;;) {
    const end = buffer.indexOf("\r\n\r\n");
    if (end < 0) return;
    const length = Number(/Content-Length: (\d+)/i.exec(buffer.toString("ascii", 0, end))[1]);
    if (buffer.length < end + 4 + length) return;
    const body = buffer.toString("utf8", end + 4, end + 4 + length);
    buffer = buffer.subarray(end + 4 + length);
    take(JSON.parse(body));
  }
});

const line = `# yaml-language-server: $schema=${pathToFileURL(schema)}`;

// Opens a text; `|` is the cursor.
async function document(name, marked) {
  const uri = pathToFileURL(join(room, name)).toString();
  const whole = `${line}\n${marked}`;
  const before = whole.slice(0, whole.indexOf("|")).split("\n");
  const position = { line: before.length - 1, character: before.at(-1).length };
  const text = whole.replace("|", "");
  writeFileSync(join(room, name), text);
  const diagnostics = new Promise((resolve) => told.set(uri, resolve));
  send({
    method: "textDocument/didOpen",
    params: { textDocument: { uri, languageId: "yaml", version: 1, text } },
  });
  return { uri, position, diagnostics };
}

const words = (documentation) => (documentation?.value ?? documentation ?? "").trim().split("\n")[0];

async function complete(name, marked) {
  const { uri, position } = await document(name, marked);
  const answer = await ask("textDocument/completion", { textDocument: { uri }, position });
  console.log(`--- ${name}\n${marked}`);
  for (const item of answer.items ?? answer) {
    console.log(`  > ${item.label}${item.documentation ? `  (${words(item.documentation)})` : ""}`);
  }
}

async function diagnose(name, marked) {
  const { diagnostics } = await document(name, marked);
  console.log(`--- ${name}\n${marked.replace("|", "")}`);
  for (const one of await diagnostics) {
    console.log(`  ! line ${one.range.start.line}: ${one.message.split("\n")[0]}`);
  }
}

const folder = pathToFileURL(room).toString();
await ask("initialize", { processId: null, rootUri: folder, capabilities: { workspace: { configuration: true } } });
send({ method: "initialized", params: {} });

const head = "workflow: nightly-etl\nnotifications:\n  - phases: failed\n";
await complete("kinds.yaml", `${head}    |\n`);
await complete("options.yaml", `${head}    ntfy:\n      to: [my-topic]\n      |\n`);
await complete("phases.yaml", "workflow: nightly-etl\nnotifications:\n  - phases: |\n");
await complete("conditions.yaml", `${head}    when:\n      |\n`);
await diagnose("misspelt.yaml", `${head}    ntfy: {to: [my-topic], priorty: 3}|\n`);
await diagnose("too-urgent.yaml", `${head}    ntfy: {to: [my-topic], priority: 9}|\n`);
await diagnose("topic.yaml", `${head}    ntfy: ["my topic"]|\n`);
await diagnose("sound.yaml", `${head}    ntfy: {to: [my-topic], priority: 5}|\n`);

await ask("shutdown", null);
send({ method: "exit" });
server.stdin.end();
