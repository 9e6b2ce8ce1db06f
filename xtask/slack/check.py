"""Calls the sandbox's Slack with the package `slack_sdk` of PyPI, as its users do."""

import importlib.metadata
import json
import sys
import urllib.request

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler
from slack_sdk.models.blocks import HeaderBlock, SectionBlock
from slack_sdk.webhook import WebhookClient

PLACE = json.loads(sys.argv[1])
CHANNEL = "#python"
answered = []
refused = []


def secret(name):
    with open(f"{PLACE['dir']}/{name}", encoding="utf-8") as file:
        return file.read()


def client(token, **options):
    return WebClient(token, base_url=PLACE["slack"], **options)


def ok(answer):
    assert answer["ok"] is True, answer
    answered.append(answer)
    return answer


def refusal(code, call, **arguments):
    try:
        answer = call(**arguments)
    except SlackApiError as err:
        assert err.response["ok"] is False
        assert err.response["error"] == code, err
        refused.append(code)
        return err.response
    raise AssertionError(f"{code}: {answer}")


def fail(status, times):
    body = json.dumps({"service": "slack", "status": status, "times": times}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(PLACE["inbox"] + "fail", body, headers)
    urllib.request.urlopen(request).close()


def main():
    slack = client(secret("slack_token"))
    who = ok(slack.auth_test())
    assert who["url"] == PLACE["inbox"], who
    assert "chat:write" in who.headers["x-oauth-scopes"], who.headers

    # Blocks as the package's own classes, metadata as a dictionary.
    root = ok(slack.chat_postMessage(
        channel=CHANNEL,
        text="nightly-etl failed",
        blocks=[HeaderBlock(text="nightly-etl failed"), SectionBlock(text="*why*: row 4")],
        username="etl",
        icon_emoji=":x:",
        unfurl_links=False,
        metadata={"event_type": "notify", "event_payload": {"delivery": "ntf_1"}},
    ))
    channel, ts = root["channel"], root["ts"]
    assert root["message"]["blocks"][0]["type"] == "header"
    reply = ok(slack.chat_postMessage(channel=channel, thread_ts=ts, text="failed again"))
    assert reply["message"]["thread_ts"] == ts
    loud = ok(slack.chat_postMessage(
        channel=channel, thread_ts=ts, text="recovered", reply_broadcast=True,
        attachments=[{"color": "good", "text": "after 42 min"}],
    ))
    edited = ok(slack.chat_update(channel=channel, ts=ts, text="nightly-etl recovered", blocks=[]))
    assert edited["text"] == "nightly-etl recovered"
    link = ok(slack.chat_getPermalink(channel=channel, message_ts=loud["ts"]))
    assert link["permalink"].startswith(PLACE["inbox"] + "archives/" + channel), link

    jane = ok(slack.users_lookupByEmail(email="jane@example.com"))["user"]
    opened = ok(slack.conversations_open(users=[jane["id"]]))["channel"]["id"]
    direct = ok(slack.chat_postMessage(channel=opened, text=f"hello <@{jane['id']}>"))
    assert direct["channel"] == opened

    history = ok(slack.conversations_history(channel=channel, include_all_metadata=True))
    assert [m["text"] for m in history["messages"]] == ["recovered", "nightly-etl recovered"]
    assert history["messages"][1]["metadata"]["event_payload"] == {"delivery": "ntf_1"}
    pages = [m["text"] for page in slack.conversations_history(channel=channel, limit=1)
             for m in ok(page)["messages"]]
    assert pages == ["recovered", "nightly-etl recovered"], pages
    thread = ok(slack.conversations_replies(channel=channel, ts=ts))
    assert len(thread["messages"]) == 3 and thread["messages"][0]["reply_count"] == 2

    once = {"channel": channel, "text": "once", "client_msg_id": "6f0e4a8c-0000-4000-8000-000000000001"}
    first = ok(slack.api_call("chat.postMessage", json=once))
    again = ok(slack.api_call("chat.postMessage", json=once))
    assert again["is_duplicate"] is True and again["ts"] == first["ts"], again

    post = slack.chat_postMessage
    refusal("invalid_auth", client("xoxb-wrong").auth_test)
    refusal("not_authed", client("").auth_test)
    refusal("channel_not_found", post, channel="nowhere", text="x")
    refusal("not_in_channel", post, channel="#not-in-channel", text="x")
    refusal("is_archived", post, channel="#is-archived", text="x")
    refusal("no_text", post, channel=CHANNEL, text="")
    blocks = refusal("invalid_blocks", post, channel=CHANNEL, text="x", blocks=[{"type": "section"}])
    assert "json-pointer:/blocks/0" in blocks["errors"][0], blocks
    refusal("cannot_reply_to_message", post, channel=CHANNEL, text="x", thread_ts="1.000001")
    refusal("message_not_found", slack.chat_update, channel=channel, ts="1.000001", text="x")
    refusal("msg_too_long", slack.chat_update, channel=channel, ts=ts, text="x" * 4001)
    refusal("thread_not_found", slack.conversations_replies, channel=channel, ts="1.000001")
    refusal("users_not_found", slack.users_lookupByEmail, email="users-not-found@example.com")
    refusal("user_not_found", slack.conversations_open, users=["jane"])
    refusal("unknown_method", slack.api_call, api_method="chat.nonsense")
    writer = client(secret("slack_token_chat_write"))
    scope = refusal("missing_scope", writer.users_lookupByEmail, email="jane@example.com")
    assert (scope["needed"], scope["provided"]) == ("users:read.email", "chat:write"), scope

    fail(429, 1)
    limited = refusal("ratelimited", slack.auth_test)
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "1"), limited.headers
    fail(429, 1)
    patient = client(secret("slack_token"), retry_handlers=[RateLimitErrorRetryHandler()])
    ok(patient.auth_test())

    webhook = WebhookClient(secret("slack_webhook_url"))
    answer = webhook.send(text="hello", blocks=[{"type": "divider"}])
    assert (answer.status_code, answer.body) == (200, "ok"), answer.body
    answered.append(answer)
    answer = webhook.send(text="")
    assert (answer.status_code, answer.body) == (400, "no_text"), answer.body
    refused.append("no_text")

    version = importlib.metadata.version("slack_sdk")
    print(f"slack_sdk {version}: {len(answered)} calls answered, {len(refused)} refusals raised")


main()
