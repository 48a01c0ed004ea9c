"""OpenAI's own client against a server of ours: tests run it in an environment of its own.

    openai_client.py URL KEY

What the client got is printed as JSON.
"""

import json
import sys
from typing import Any

from openai import APIStatusError, OpenAI
from pictures import png

MODEL, EDITOR = "sd15", "sd15-inpaint"
SIZE = "64x64"
LONG = 150  # steps that take longer than HURRIED_S / 2 and less than a few of it
HURRIED_S = 2  # that a client waits, of which half are left to tell it that it has to ask again


def refused(call: Any) -> dict[str, Any]:
    """Return how a call was refused."""
    try:
        call()
    except APIStatusError as error:
        return {
            "raised": type(error).__name__,
            "status": error.status_code,
            "code": error.code,
            "type": error.type,
            "param": error.param,
            "message": error.message,
        }
    raise AssertionError("it was not refused")


def pictures(client: OpenAI) -> dict[str, Any]:
    """Make pictures in every way that there is."""
    images = client.images
    several = images.generate(
        model=MODEL,
        prompt="a fox",
        n=2,
        size=SIZE,  # type: ignore[arg-type]
        quality="low",
        response_format="b64_json",
        extra_body={"steps": 2, "seed": 7},
    )
    linked = images.generate(
        model=MODEL,
        prompt="a fox",
        size=SIZE,  # type: ignore[arg-type]
        response_format="url",
        extra_body={"steps": 2},
    )
    edited = images.edit(
        model=EDITOR,
        image=("photo.png", png((90, 90, 90)), "image/png"),
        mask=png((0, 0, 0, 0)),
        prompt="a hat",
        size=SIZE,  # type: ignore[arg-type]
        extra_body={"steps": 2},
    )
    return {
        "several": [each.b64_json for each in several.data or []],
        "created": several.created,
        "format": several.output_format,
        "linked": [each.url for each in linked.data or []],
        "edited": [each.b64_json for each in edited.data or []],
    }


def refusals(client: OpenAI, url: str) -> dict[str, Any]:
    images = client.images
    stranger = OpenAI(base_url=f"{url}/v1", api_key="cq_unknown", max_retries=0)
    return {
        "size": refused(lambda: images.generate(model=MODEL, prompt="a fox", size="9x9")),  # type: ignore[call-overload]
        "model": refused(lambda: images.generate(model="dall-e-3", prompt="a fox")),
        "image": refused(lambda: images.edit(model=MODEL, image=png((9, 9, 9)), prompt="a hat")),
        "key": refused(lambda: stranger.models.list()),
    }


def waits(client: OpenAI) -> dict[str, Any]:
    """Ask for what takes longer than the client waits: with a key, it asks again by itself."""
    hurried = client.with_options(timeout=HURRIED_S, max_retries=20)

    def long(**extra: Any) -> Any:
        return hurried.images.with_raw_response.generate(
            model=MODEL,
            prompt="a fox",
            size=SIZE,  # type: ignore[arg-type]
            extra_body={"steps": LONG},
            **extra,
        )

    keyed = long(extra_headers={"Idempotency-Key": "a long one"})
    return {
        "keyed": len(keyed.parse().data),
        "keyed_tries": keyed.retries_taken + 1,
        "unkeyed": refused(long),
    }


def main(url: str, key: str) -> None:
    client = OpenAI(base_url=f"{url}/v1", api_key=key, timeout=60, max_retries=0)
    told = {
        "models": [model.id for model in client.models.list()],
        "model": client.models.retrieve(MODEL).id,
        "pictures": pictures(client),
        "refusals": refusals(client, url),
        "waits": waits(client),
    }
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
