"""A caller's own boto3 objects, a DynamoDB resource and a KMS client, as what carries calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynastash.aws.base import Operation
from dynastash.aws.botoerrors import call_error
from dynastash.aws.flight import ThreadedFlight
from dynastash.errors import CredentialsError, InvalidArgumentError

if TYPE_CHECKING:
    from dynastash.aws.base import Transport


class ClientTransport:
    """Calls through ``dynamodb``, a resource or a client, and ``kms``, a client, whichever of them there are."""

    def __init__(self, dynamodb: Any = None, kms: Any = None) -> None:
        # A resource's client takes and gives Python's own values where a plain one has DynamoDB's notation.
        self._translates = hasattr(dynamodb, "Table")
        self._clients = {"dynamodb": dynamodb.meta.client if self._translates else dynamodb, "kms": kms}

    @property
    def region(self) -> str:
        """The Region of the first that knows its own."""
        regions = (
            getattr(getattr(client, "meta", None), "region_name", None) for client in self._clients.values() if client
        )
        return next((str(region) for region in regions if region), "its Region")

    def call(self, operation: Operation, request: Mapping[str, Any]) -> dict[str, Any]:
        """The reply, or what :class:`~dynastash.aws.base.Transport` raises."""
        from botocore import xform_name

        client = self._clients.get(operation.service)
        if client is None:
            raise InvalidArgumentError(f"there is no client for {operation.service}", hint="give dynamodb and kms both")
        native = self._translates and operation.service == "dynamodb"
        try:
            asked = _translated(client, operation, "input_shape", request, to_python=True) if native else request
            reply: dict[str, Any] = getattr(client, xform_name(operation.action))(**asked)
        except Exception as error:
            translated = call_error(operation, error, None)
            # A malformed request is shown in botocore's words, and may hold what must stay hidden.
            raise translated from None
        reply.pop("ResponseMetadata", None)
        return _translated(client, operation, "output_shape", reply, to_python=False) if native else reply

    def flight(self) -> ThreadedFlight:
        """Many calls at once, each in a thread."""
        return ThreadedFlight(self.call)

    def prepare(self, *services: str) -> None:
        """Nothing: the clients are the caller's."""

    def access_key(self) -> str:
        """A client does not show whose it is."""
        raise CredentialsError("the access key of a client that was given is not known")


def _translated(client: Any, operation: Operation, shape: str, data: Any, *, to_python: bool) -> Any:
    """``data`` with every attribute's value as Python's own, or in DynamoDB's notation."""
    from boto3.dynamodb.transform import ParameterTransformer
    from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

    model = client.meta.service_model.operation_model(operation.action)
    change: Any = TypeDeserializer().deserialize if to_python else TypeSerializer().serialize
    copied = _copied(data)
    transformer: Any = ParameterTransformer()
    transformer.transform(copied, getattr(model, shape), change, "AttributeValue")
    return copied


def _copied(data: Any) -> Any:
    """Mappings and lists that may be changed in place."""
    if isinstance(data, Mapping):
        return {key: _copied(value) for key, value in data.items()}
    return [_copied(value) for value in data] if isinstance(data, list) else data


if TYPE_CHECKING:

    def _conforms(transport: ClientTransport) -> Transport:
        return transport
