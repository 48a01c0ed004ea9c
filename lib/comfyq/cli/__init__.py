"""``comfyq``: serve, work, and speak to a server. Each command imports only what it needs."""


def main() -> None:
    from comfyq.cli.app import app

    app()
