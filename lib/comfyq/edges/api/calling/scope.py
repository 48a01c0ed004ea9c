"""What the application puts into the scope of each request for its routes, where it costs no call
to find."""

SERVICES = "comfyq.services"
ADDRESSES = "comfyq.addresses"
STREAMS = "comfyq.streams"
