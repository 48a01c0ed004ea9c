"""Nodes that exist in the editor alone: ComfyUI never runs them."""

from comfyq.domain.graph.editor.document import GETTER, SETTER, Node

PRIMITIVE = "PrimitiveNode"
PASSING = frozenset({"Reroute", "Reroute (rgthree)"})  # their one input is their output
OTHERS = frozenset(
    {
        "Note",
        "MarkdownNote",
        "Label (rgthree)",
        "Bookmark (rgthree)",
        "Fast Muter (rgthree)",
        "Fast Bypasser (rgthree)",
        "Fast Groups Muter (rgthree)",
        "Fast Groups Bypasser (rgthree)",
        "Fast Actions Button (rgthree)",
        "Mute / Bypass Relay (rgthree)",
        "Mute / Bypass Repeater (rgthree)",
        "Node Collector (rgthree)",
        "Random Unmuter (rgthree)",
    }
)
FRONTEND_ONLY = PASSING | OTHERS | {PRIMITIVE, SETTER, GETTER}
GROUPS = ("workflow>", "workflow/")  # classes of group nodes, which subgraphs have replaced


def is_group(node: Node) -> bool:
    return node.type.startswith(GROUPS)


def getter_name(node: Node) -> str | None:
    """Return the name that a getter asks for; None if the node is no getter."""
    return str(node.first_value) if node.type == GETTER else None
