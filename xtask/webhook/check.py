"""Verifies and reads what was sent, with the packages `standardwebhooks` and `cloudevents` of PyPI.

The receiver on the provider's page is executed with the same requests.
"""

import importlib.metadata
import json
import os
import sys

from cloudevents.core.bindings.http import HTTPMessage, from_http
from cloudevents.core.formats.json import JSONFormat
from standardwebhooks import Webhook, WebhookVerificationError

STRANGE = "whsec_" + "c3RyYW5nZSBzdHJhbmdlIHN0cmFuZ2Ugc3RyYW5nZQ=="


def refused(key, body, headers):
    try:
        Webhook(key).verify(body, headers)
    except WebhookVerificationError:
        return True
    return False


def check_signature(case):
    headers, body = case["headers"], case["body"]
    for key in case["keys"]:
        Webhook(key).verify(body, headers)
    assert refused(STRANGE, body, headers), "verified with a strange key"
    key = case["keys"][0]
    assert refused(key, body + " ", headers), "verified with another body"
    for name, value in [
        ("webhook-id", "ntf_00000000000000000000000000000008"),
        ("webhook-timestamp", str(int(headers["webhook-timestamp"]) + 1)),
    ]:
        assert refused(key, body, headers | {name: value}), f"verified with another {name}"


def check_event(event, expected):
    seen = {
        "id": event.get_id(),
        "source": event.get_source(),
        "type": event.get_type(),
        "subject": event.get_subject(),
        "time": event.get_time().isoformat(),
        "datacontenttype": event.get_datacontenttype() or "application/json",
        "odd": event.get_data()["event"]["labels"]["odd"],
    }
    assert seen == expected, f"{seen}\n{expected}"


def receiver(page):
    with open(page, encoding="utf-8") as file:
        blocks = file.read().split("```python\n")[1:]
    assert len(blocks) == 1, f"{len(blocks)} receivers on the page"
    names = {}
    exec(compile(blocks[0].split("```")[0], page, "exec"), names)
    return names


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        dump = json.load(file)
    for package in ["standardwebhooks", "cloudevents"]:
        print(f"{package} {importlib.metadata.version(package)}")
    of_page = receiver(sys.argv[2])
    data = []
    for case in dump["cases"]:
        check_signature(case)
        if case["event"]:
            body = case["body"].encode()
            event = from_http(HTTPMessage(case["headers"], body), JSONFormat())
            check_event(event, dump["expected"])
            data.append(event.get_data())
            of_page["seen"].clear()
            os.environ["CI_SIGNING_KEY"] = case["keys"][-1]
            check_event(of_page["receive"](case["headers"], body), dump["expected"])
            assert of_page["receive"](case["headers"], body) is None, "a repeat passed"
        else:
            assert json.loads(case["body"])["text"] == dump["expected"]["odd"]
        print(f"{case['name']}: verified with {len(case['keys'])} key(s), forgeries refused")
    assert all(one == data[0] for one in data), "the modes do not say the same"
    print(f"{len(data)} events read, the same in every mode; the page's receiver takes them")


main()
