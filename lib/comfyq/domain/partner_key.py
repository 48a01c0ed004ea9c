"""The key by which a client's graph calls paid services of others: ComfyUI's partner nodes."""

from comfyq.domain.errors import Conflict

COMFYUI_NAME = "api_key_comfy_org"  # under which ComfyUI hands it to the nodes that ask for it


class PartnerKeyUnreadable(Conflict):
    """The worker of a job cannot read the key that it was sent with."""

    code = "partner-key-unreadable"
