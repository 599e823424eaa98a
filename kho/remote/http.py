"""The only file that knows aiohttp, loaded with the first request: its import costs 130 ms.

What breaks is an OSError: TimeoutError, ssl.SSLCertVerificationError, else ConnectionError.
"""

import asyncio
import os
import socket
import ssl
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, AbstractStreamWriter
from aiohttp.http_writer import StreamWriter
from yarl import URL

from kho import __version__
from kho.remote.file_body import FileBody

CONNECT_SECONDS: Final = 10.0
_BUFFER: Final = 256 * 1024
# What the kernel may hold that is not on the line yet: whoever is killed loses it.
_UNSENT: Final = 256 * 1024

Body = bytes | AsyncIterator[bytes]


class Response:
    """Status, headers and a body that is read once."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.url = str(response.url)
        self.content_type = response.content_type

    @property
    def length(self) -> int | None:
        """Content-Length, where it is told."""
        return self._response.content_length

    def headers(self, name: str) -> list[str]:
        """Every line of a header."""
        return self._response.headers.getall(name, [])

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes."""
        with _broken():
            async for piece in self._response.content.iter_any():
                yield piece

    def end(self) -> None:
        """Keep the connection for another request, where nothing is left on it."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class _FilePayload(aiohttp.Payload):
    """A part of a file: by the kernel alone, where no TLS lies between."""

    _value: FileBody

    def __init__(self, body: FileBody) -> None:
        super().__init__(body, content_type="application/octet-stream")
        self._size = body.left

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """It is sent, never read as text."""
        raise TypeError(f"no text: {encoding}, {errors}")

    async def write(self, writer: AbstractStreamWriter) -> None:
        """All of it, in order: what the socket does not take at once goes by way of its buffer."""
        assert isinstance(writer, StreamWriter)
        transport = writer.transport
        secure = transport is None or transport.get_extra_info("sslcontext") is not None
        if transport is None or secure or sys.platform != "linux":
            async for piece in self._value:
                await writer.write(piece)
            return
        writer.send_headers()
        transport.set_write_buffer_limits(0)  # so that `drain` leaves nothing in it
        try:
            await self._send(writer, transport)
        finally:
            transport.set_write_buffer_limits()

    async def _send(self, writer: StreamWriter, transport: asyncio.WriteTransport) -> None:
        await writer.drain()
        line = transport.get_extra_info("socket")
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
        while self._value.left:
            if transport.is_closing():
                raise ConnectionResetError("the connection was closed")
            if not transport.get_write_buffer_size() and self._value.send(line.fileno()):
                await asyncio.sleep(0)  # an answer may come in mid-upload
            else:
                await writer.write(await anext(self._value))
                await writer.drain()


class Connections:
    """To all hosts, on one event loop; `silence` is how many seconds nothing may come."""

    def __init__(self, silence: float, resolver: AbstractResolver | None) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=0, resolver=resolver),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=CONNECT_SECONDS, sock_read=silence
            ),
            headers={"User-Agent": f"kho/{__version__}", "Accept-Encoding": "identity"},
            read_bufsize=_BUFFER,
        )

    async def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Body | None,
        *,
        tls: ssl.SSLContext | None,
        proxy: str | None,
    ) -> Response:
        """One request; redirects are the caller's."""
        with _broken():
            response = await self._session.request(
                method,
                URL(url, encoded=True),
                headers=headers,
                data=_FilePayload(body) if isinstance(body, FileBody) else body,
                allow_redirects=False,
                ssl=tls or True,
                proxy=proxy,
            )
        return Response(response)

    async def is_plain(self, url: str) -> bool:
        """Whether something answers a TLS greeting in plain text.

        Trusts any certificate, and sends nothing that matters: to load those of the system, which
        a registry without TLS needs none of, takes 25 ms.
        """
        bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        bare.check_hostname, bare.verify_mode = False, ssl.CERT_NONE
        try:
            async with self._session.head(
                URL(url, encoded=True), allow_redirects=False, ssl=bare
            ) as response:
                response.close()
        except aiohttp.ClientConnectorSSLError as error:
            return getattr(error.os_error, "reason", None) == "WRONG_VERSION_NUMBER"
        except (aiohttp.ClientError, OSError, ValueError):
            return False
        return False

    async def close(self) -> None:
        """Close them all."""
        await self._session.close()


@contextmanager
def _broken() -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise
    except aiohttp.ClientConnectorCertificateError as error:
        found = error.certificate_error
        if isinstance(found, ssl.SSLCertVerificationError):
            raise found from error
        raise ssl.SSLCertVerificationError(str(found)) from error
    except aiohttp.ClientConnectorError as error:
        raise ConnectionError(_why(error.os_error)) from error
    except (aiohttp.ClientError, ValueError) as error:
        raise ConnectionError(str(error) or type(error).__name__) from error


def _why(error: OSError) -> str:
    """The system's own words, without addresses and objects."""
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or str(error)).replace('_', ' ').lower()}"
    if isinstance(error, socket.gaierror) or not error.errno:
        return error.strerror or str(error)
    return os.strerror(error.errno)
