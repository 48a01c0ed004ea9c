"""A receiver that checks webhooks by Svix's own package: tests run it in an environment of its own.

    svix_receiver.py SECRET [[HEADERS, BODY], …]

What it takes, and what it says to a body that was changed on the way, is printed as JSON.
"""

import json
import sys

from svix.webhooks import Webhook, WebhookVerificationError


def main(secret: str, sent: str) -> None:
    webhook, taken, refused = Webhook(secret), [], []
    for headers, body in json.loads(sent):
        webhook.verify(body, headers)
        taken.append(json.loads(body)["type"])
        try:
            webhook.verify(body.replace("job.", "jab."), headers)
        except WebhookVerificationError as error:
            refused.append(str(error))
    print(json.dumps({"taken": taken, "refused": refused}))


if __name__ == "__main__":
    main(*sys.argv[1:])
