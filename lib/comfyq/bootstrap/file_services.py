"""The services of uploads, downloads and links, made when they are first asked for."""

import secrets
from functools import cached_property, partial
from importlib.util import find_spec
from uuid import uuid4

from comfyq.adapters.filesystem.spool import FileSpool
from comfyq.bootstrap.ports import Ports
from comfyq.bootstrap.tenancy.limits import LimitServices
from comfyq.config import ApiSettings, Settings
from comfyq.domain.files.asset import AssetId
from comfyq.domain.files.upload import UploadId
from comfyq.ports.access.cipher import Cipher
from comfyq.ports.masks import Masks
from comfyq.records.access.chosen_models import ChosenModelRecords
from comfyq.records.access.partner_keys import PartnerKeyRecords
from comfyq.records.files.file_names import FileNameRecords
from comfyq.records.files.uploads import UploadRecords
from comfyq.records.secrets import SecretRecords
from comfyq.services.access.partner_keys import PartnerKeys
from comfyq.services.files.downloads import Downloads
from comfyq.services.files.masked_files import MaskedFiles
from comfyq.services.files.named_files import NamedFiles
from comfyq.services.files.presigned_uploads import PresignedUploads
from comfyq.services.files.signed_links import SignedLinks
from comfyq.services.files.uploads import Uploads
from comfyq.services.workflows.chosen_models import ChosenModels


class FileServices(LimitServices):
    """The services of files, over one set of ports."""

    def __init__(self, settings: Settings, ports: Ports) -> None:
        super().__init__(settings, ports)
        self._links: SignedLinks | None = None

    @cached_property
    def uploads(self) -> Uploads:
        return Uploads(
            records=self.assets,
            assets=self.ports.assets,
            spool=FileSpool(folder=self.settings.uploads_dir),
            clock=self.ports.clock,
            new_id=lambda: AssetId(str(uuid4())),
            retention=self.retention,
            max_bytes=self.settings.limits.upload_max_bytes,
            limits=self.tenant_limits,
        )

    @cached_property
    def named_files(self) -> NamedFiles:
        return NamedFiles(uploads=self.uploads, names=FileNameRecords(self.ports.table))

    @cached_property
    def masked_files(self) -> MaskedFiles:
        return MaskedFiles(
            uploads=self.uploads,
            assets=self.ports.assets,
            masks=_masks(),
            max_bytes=self.settings.limits.input_max_bytes,
        )

    @cached_property
    def chosen_models(self) -> ChosenModels:
        return ChosenModels(
            records=ChosenModelRecords(self.ports.table),
            limits=self.tenant_limits,
            clock=self.ports.clock,
        )

    @cached_property
    def presigned_uploads(self) -> PresignedUploads:
        return PresignedUploads(
            records=UploadRecords(self.ports.table),
            uploads=self.uploads,
            assets=self.ports.assets,
            clock=self.ports.clock,
            links=self.links,
            new_id=lambda: UploadId(str(uuid4())),
        )

    @cached_property
    def partner_keys(self) -> PartnerKeys:
        return PartnerKeys(
            records=PartnerKeyRecords(self.ports.table),
            cipher=partial(cipher_of, self.settings.api),
            draw=secrets.token_hex,
        )

    @cached_property
    def downloads(self) -> Downloads:
        return Downloads(records=self.records, assets=self.ports.assets, links=self.links)

    async def links(self) -> SignedLinks:
        """Return what signs links to outputs; its secret is read from the table once."""
        if self._links is None:
            self._links = SignedLinks(
                secret=await self._link_secret(),
                clock=self.ports.clock,
                expires_s=self.settings.api.links_live_s,
            )
        return self._links

    async def _link_secret(self) -> bytes:
        if self.settings.api.link_secret is not None:
            return self.settings.api.link_secret.get_secret_value().encode()
        stored = SecretRecords(self.ports.table, new_secret=lambda: secrets.token_hex(32))
        return await stored.shared("links")


def _masks() -> Masks | None:
    """Return what decodes pictures, where it is installed: functions have nothing that does."""
    if find_spec("PIL") is None:
        return None
    from comfyq.adapters.pictures.pillow import PillowPictures  # for the first mask

    return PillowPictures()


def cipher_of(settings: ApiSettings) -> Cipher:
    """Return the cipher of clients' keys of partner nodes."""
    from comfyq.adapters.encryption.aes_gcm import AesGcm  # 10 to 60 ms: for the first key

    secret = settings.partner_secret
    return AesGcm(secret=b"" if secret is None else secret.get_secret_value().encode())
