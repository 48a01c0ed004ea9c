"""The reference of the shipped workflows' parameters, from their requests' schemas."""

from infra.docs import api
from infra.docs.markdown import heading, prose, whole_page
from infra.docs.schemas import fields

INTRODUCTION = """\
Fields of `POST /workflows/NAME/generate`, and of `POST /generate` with `"workflow": "NAME"`.
Where a list of models, samplers or schedulers is shortened here, a server answers with the whole
one: `GET /workflows/NAME`. What each workflow needs: [workflows](../workflows.md)."""


def page() -> str:
    parts = [INTRODUCTION]
    for name, schema in api.forms().items():
        parts += [
            heading(2, f"`{name}`", anchor=name),
            prose(schema.get("description", "")),
            fields(schema, linked=False),
        ]
    return whole_page("Workflow parameters", *parts)
