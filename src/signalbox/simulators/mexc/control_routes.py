"""How control requests are read and answered: strict JSON in, JSON out, and errors that name what was wrong."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from aiohttp import web

BodyT = TypeVar("BodyT")


async def body_of(request: web.Request, kind: type[BodyT]) -> BodyT:
    """The request's body as a struct; an empty one counts as `{}`. Raises msgspec's errors."""
    return msgspec.json.decode(await request.read() or b"{}", type=kind)


def strict(
    handler: Callable[[web.Request], Awaitable[object]],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Answer JSON, and errors as 422 (bad body), 404 (unknown name) or 409 (not possible now) with a message."""

    async def answer(request: web.Request) -> web.StreamResponse:
        status = 200
        result: object
        try:
            result = await handler(request)
        except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
            status, result = 422, {"error": str(error)}
        except LookupError as error:
            status, result = 404, {"error": str(error)}
        except ValueError as error:
            status, result = 409, {"error": str(error)}
        return web.Response(body=msgspec.json.encode(result), status=status, content_type="application/json")

    return answer
