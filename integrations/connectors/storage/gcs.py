"""Google Cloud Storage, by Google's client through the door. No metadata server is ever asked: the credentials are those given."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator

from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession, Request
from google.cloud.exceptions import GoogleCloudError
from google.cloud.storage import Client
from google.oauth2.service_account import Credentials
from storages.backends.gcloud import GoogleCloudStorage

from core.http.client import Door
from core.http.door import BadAnswer, SignInFailed
from core.http.libraries import DoorAdapter, session
from integrations.connectors.storage.answers import UNREADABLE, explained
from integrations.connectors.storage.stores import Shown, Values

_TITLE = "Google"
_API = "https://storage.googleapis.com"
# what proves the account; the rest of the file (another universe, headers to be sent) is not the user's to choose
_PROOF = ("client_email", "private_key", "private_key_id", "token_uri")
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"


class GivenCredentials(Credentials):
    """A service account's, which ask for a token and for nothing else: no lookup of regions in a thread of the library's own."""

    def _is_regional_access_boundary_lookup_required(self) -> bool:
        return False


class DoorGoogle(GoogleCloudStorage):
    """django-storages' backend, with a client that was made for it."""

    def put(self, name: str, content: bytes, content_type: str) -> None:
        """Store an object."""
        self.bucket.blob(name).upload_from_file(io.BytesIO(content), size=len(content), content_type=content_type, retry=None)

    def get(self, name: str) -> bytes:
        """Return an object."""
        found: bytes = self.bucket.blob(name).download_as_bytes(retry=None)
        return found

    def delete(self, name: str) -> None:
        """Remove an object."""
        self.bucket.delete_blob(name, retry=None)


@contextlib.contextmanager
def opened(config: Values, credentials: Values, door: Door, shown: Shown) -> Iterator[DoorGoogle]:
    """Open the bucket. Raises OutboundError."""
    account = json.loads(credentials["service_account"])
    proof = {name: account[name] for name in _PROOF if name in account}
    try:
        signer = GivenCredentials.from_service_account_info(proof, scopes=[_SCOPE])  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, GoogleAuthError):
        raise SignInFailed("The service account's private key can't be read. Make a new JSON key, and paste the whole file.") from None
    http = AuthorizedSession(signer, auth_request=Request(session(door)))  # type: ignore[no-untyped-call]
    http.trust_env = False
    for scheme in ("https://", "http://"):
        http.mount(scheme, DoorAdapter(door))
    store = DoorGoogle(bucket_name=config["bucket"], project_id=account["project_id"], credentials=signer, location="", file_overwrite=True)
    store._client = Client(project=account["project_id"], credentials=signer, _http=http, client_options={"api_endpoint": _API})
    store._client._bucket_metadata_cache = None  # it would ask for the bucket in a thread of its own, for traces that nobody makes
    try:
        yield store
    except BadAnswer as error:
        raise explained(error, _TITLE, shown) from error
    except GoogleAuthError:
        raise SignInFailed(f"{_TITLE} gave no token for the service account. Check that it exists, and make a new key.") from None
    except (GoogleCloudError, *UNREADABLE) as error:
        raise BadAnswer(f"{_TITLE} answered something that is not Cloud Storage ({type(error).__name__}). Check the bucket.") from None
