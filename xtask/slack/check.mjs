// Calls the sandbox's Slack with the packages `@slack/web-api` and `@slack/webhook` of npm.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [room, said] = process.argv.slice(2);
const place = JSON.parse(said);
const require = createRequire(`${room}/`);
const { ErrorCode, LogLevel, WebClient } = require("@slack/web-api");
const { IncomingWebhook } = require("@slack/webhook");
const version = (name) =>
  JSON.parse(readFileSync(`${room}/node_modules/${name}/package.json`, "utf8")).version;

const secret = (name) => readFileSync(`${place.dir}/${name}`, "utf8");
const client = (token, options = {}) =>
  new WebClient(token, {
    slackApiUrl: place.slack,
    logLevel: LogLevel.ERROR,
    logger: { debug() {}, info() {}, warn() {}, error() {}, setLevel() {}, setName() {}, getLevel: () => LogLevel.ERROR },
    retryConfig: { retries: 0 },
    ...options,
  });

let answered = 0;
let refused = 0;
async function ok(call) {
  const answer = await call;
  assert.equal(answer.ok, true);
  answered += 1;
  return answer;
}
async function refusal(error, call) {
  await assert.rejects(call, (err) => {
    assert.equal(err.code, ErrorCode.PlatformError, String(err));
    assert.equal(err.data.error, error);
    return true;
  });
  refused += 1;
}
async function fail(status, times) {
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ service: "slack", status, times });
  const answer = await fetch(`${place.inbox}fail`, { method: "POST", headers, body });
  assert.equal(answer.status, 200);
}

const slack = client(secret("slack_token"));
const who = await ok(slack.auth.test());
assert.equal(who.url, place.inbox);
assert.ok(who.response_metadata.scopes.includes("chat:write"));

const root = await ok(slack.chat.postMessage({
  channel: "#node",
  text: "nightly-etl failed",
  blocks: [{ type: "header", text: { type: "plain_text", text: "nightly-etl failed" } }],
  username: "etl",
  icon_emoji: ":x:",
  metadata: { event_type: "notify", event_payload: { delivery: "ntf_1" } },
}));
const { channel, ts } = root;
assert.equal(root.message.blocks[0].type, "header");
const below = { channel, thread_ts: ts };
await ok(slack.chat.postMessage({ ...below, text: "failed again" }));
const attachments = [{ color: "good", text: "after 42 min" }];
const loud = await ok(slack.chat.postMessage({ ...below, text: "recovered", reply_broadcast: true, attachments }));
const edited = await ok(slack.chat.update({ channel, ts, text: "nightly-etl recovered", blocks: [] }));
assert.equal(edited.text, "nightly-etl recovered");
const link = await ok(slack.chat.getPermalink({ channel, message_ts: loud.ts }));
assert.ok(link.permalink.startsWith(`${place.inbox}archives/${channel}`));

const { user } = await ok(slack.users.lookupByEmail({ email: "jane@example.com" }));
const opened = await ok(slack.conversations.open({ users: user.id }));
const direct = await ok(slack.chat.postMessage({ channel: opened.channel.id, text: `hello <@${user.id}>` }));
assert.equal(direct.channel, opened.channel.id);

const history = await ok(slack.conversations.history({ channel, include_all_metadata: true }));
assert.deepEqual(history.messages.map(({ text }) => text), ["recovered", "nightly-etl recovered"]);
assert.equal(history.messages[1].metadata.event_payload.delivery, "ntf_1");
const pages = [];
for await (const page of slack.paginate("conversations.history", { channel, limit: 1 })) {
  answered += 1;
  pages.push(...page.messages.map(({ text }) => text));
}
assert.deepEqual(pages, ["recovered", "nightly-etl recovered"]);
const thread = await ok(slack.conversations.replies({ channel, ts }));
assert.deepEqual([thread.messages.length, thread.messages[0].reply_count], [3, 2]);

const once = { channel, text: "once", client_msg_id: "6f0e4a8c-0000-4000-8000-000000000002" };
const first = await ok(slack.apiCall("chat.postMessage", once));
const again = await ok(slack.apiCall("chat.postMessage", once));
assert.deepEqual([again.is_duplicate, again.ts], [true, first.ts]);

const post = (message) => slack.chat.postMessage({ channel: "#node", text: "x", ...message });
await refusal("invalid_auth", client("xoxb-wrong").auth.test());
await refusal("not_authed", client().auth.test());
await refusal("channel_not_found", post({ channel: "nowhere" }));
await refusal("not_in_channel", post({ channel: "#not-in-channel" }));
await refusal("is_archived", post({ channel: "#is-archived" }));
await refusal("no_text", post({ text: "" }));
await refusal("invalid_blocks", post({ blocks: [{ type: "section" }] }));
await refusal("cannot_reply_to_message", post({ thread_ts: "1.000001" }));
await refusal("message_not_found", slack.chat.update({ channel, ts: "1.000001", text: "x" }));
await refusal("msg_too_long", slack.chat.update({ channel, ts, text: "x".repeat(4001) }));
await refusal("thread_not_found", slack.conversations.replies({ channel, ts: "1.000001" }));
await refusal("users_not_found", slack.users.lookupByEmail({ email: "users-not-found@example.com" }));
await refusal("user_not_found", slack.conversations.open({ users: "jane" }));
await refusal("unknown_method", slack.apiCall("chat.nonsense"));
const writer = client(secret("slack_token_chat_write"));
await refusal("missing_scope", writer.users.lookupByEmail({ email: "jane@example.com" }));

const impatient = client(secret("slack_token"), { rejectRateLimitedCalls: true });
await fail(429, 1);
await assert.rejects(impatient.auth.test(), { code: ErrorCode.RateLimitedError, retryAfter: 1 });
await fail(503, 1);
await assert.rejects(slack.auth.test(), { code: ErrorCode.HTTPError, statusCode: 503 });
refused += 2;
await fail(429, 1);
await ok(client(secret("slack_token"), { retryConfig: { retries: 1 } }).auth.test());

const webhook = new IncomingWebhook(secret("slack_webhook_url"));
assert.equal((await webhook.send({ text: "hello", blocks: [{ type: "divider" }] })).text, "ok");
answered += 1;
await assert.rejects(webhook.send({ text: "" }), { code: "slack_webhook_http_error" });
refused += 1;

console.log(
  `@slack/web-api ${version("@slack/web-api")}, @slack/webhook ${version("@slack/webhook")}: ` +
    `${answered} calls answered, ${refused} refusals raised`,
);
