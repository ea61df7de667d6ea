"""A receiver's answer, taken apart as it comes. Pure: whoever reads the socket feeds it."""

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

READ_AT_MOST = 64 * 1024
"""Bytes of the head that are borne, and bytes of the body that are wanted."""

MOST_HEADERS = 100


class Reply:
    """Feed it until it is `over`, and no longer. Methods named `on_…` are the parser's."""

    def __init__(self) -> None:
        self.status: int | None = None
        """None until the head is here; interim answers (1xx) are passed over."""
        self.retry_after: str | None = None
        self.body = b""
        self.whole = False
        """Whether the end was reached within bounds."""
        self.reusable = False
        """Whether the connection is good for another request."""
        self._ended = False
        self._parser = HttpResponseParser(self)
        self._fed = 0
        self._headers = 0

    @property
    def over(self) -> bool:
        """Whether nothing more is wanted, or nothing more can come."""
        return self.whole or self._ended or len(self.body) >= READ_AT_MOST

    def feed(self, data: bytes) -> None:
        """Take what came; nothing at all is the end of the connection. Raises `HttpParserError`, `ConnectionError`."""
        if data:
            self._parse(data)
        else:
            self._end()
        if self.over:
            # It holds this one, too: the two of each post would stay until the garbage collector finds them.
            del self._parser

    def _parse(self, data: bytes) -> None:
        try:
            try:
                self._parser.feed_data(data)
            except HttpParserUpgrade as ex:  # which is none of its errors
                raise HttpParserError("The receiver changes to a protocol that nobody asked for.") from ex
        except HttpParserError:
            # After a whole answer it is what follows that makes no sense.
            if not self.whole:
                raise
            self.reusable = False
        self._fed += len(data)
        if self.status is None and self._fed > READ_AT_MOST:
            raise HttpParserError("The head of the answer has no end.")

    def _end(self) -> None:
        self._ended = True
        if self.status is None:
            raise ConnectionResetError("The receiver hung up without an answer.")
        # An answer that does not say how long it is ends with its connection.
        self.whole = self._is_unbounded

    def on_message_begin(self) -> None:
        if self.whole:
            self.reusable = False
            return
        self.retry_after = None
        self._is_unbounded = True
        self._headers = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.whole:
            return
        self._headers += 1
        if self._headers > MOST_HEADERS:
            raise HttpParserError("The answer has too many headers.")
        match name.lower():
            case b"retry-after":
                self.retry_after = value.decode("latin-1")
            case b"content-length" | b"transfer-encoding":
                self._is_unbounded = False

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self.status is None and status >= 200:
            self.status = status

    def on_body(self, data: bytes) -> None:
        if not self.whole:
            self.body += data

    def on_message_complete(self) -> None:
        if self.status is not None and not self.whole:
            self.whole = True
            self.reusable = self._parser.should_keep_alive()
