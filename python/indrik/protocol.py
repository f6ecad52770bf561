"""The numbers of the protocol between the front and the workers; docs/protocol.md says what
they mean. Made from internal/wire by: go generate ./internal/wire"""

# The kinds of events, front to worker: the first item of each.
EVENT_REQUEST = 0
EVENT_UPLOAD = 1
EVENT_BODY = 2
EVENT_GONE = 3
EVENT_CREDIT = 4
EVENT_PING = 5
EVENT_RESET = 6
EVENT_MESSAGE = 7
EVENT_CLOSED = 8
EVENT_LATE = 9
EVENT_BUFFER_FREE = 10
EVENT_TRACE = 11

# The kinds of messages, worker to front: the first item of each.
REPLY_RESPONSE = 0
REPLY_START = 1
REPLY_CHUNK = 2
REPLY_END = 3
REPLY_FILE = 4
REPLY_ERROR = 5
REPLY_REFUSED = 6
REPLY_HINTS = 7
REPLY_EXTEND = 8
REPLY_LEAVE = 9
REPLY_CREDIT = 10
REPLY_TRAILERS = 11
REPLY_PART = 12
REPLY_FAIL = 13
REPLY_ACCEPT = 14
REPLY_MESSAGE = 15
REPLY_CLOSE = 16

# The kinds of messages on call connections, and on the slots of pools' workers.
POOL_CALL = 1
POOL_RESULT = 2
POOL_ERROR = 3
POOL_CHUNK = 4
POOL_END = 5
POOL_STASH = 16
POOL_HELLO = 32
POOL_READY = 33
POOL_CANCEL = 34

# The layout of a scoreboard, in 64-bit words. Those from TOKEN on are of a slot.
SCOREBOARD_PROMOTED = 0
SCOREBOARD_FRONT = 1
SCOREBOARD_PING = 2
SCOREBOARD_LAG = 3
SCOREBOARD_MOST_LAG = 4
SCOREBOARD_RELOADED = 5
SCOREBOARD_END = 6
SCOREBOARD_REVOCATIONS = 7
SCOREBOARD_REVOCATION_RING = 8
SCOREBOARD_FIRST = 72
SCOREBOARD_TOKEN = 0
SCOREBOARD_CLAIMED = 1
SCOREBOARD_GONE = 2
SCOREBOARD_DEADLINE = 3
SCOREBOARD_JOURNALED = 4
SCOREBOARD_BUFFER = 5
SCOREBOARD_THREAD = 6
SCOREBOARD_STRIDE = 8
SCOREBOARD_PART = 1088 << 10

# Sizes, in bytes if they are no counts.
ARENA_BLOCK = 128 << 10
MAX_MESSAGE = 128 << 10
MAX_DESCRIPTORS = 200
PAGE_SIZE = 4096
JOURNAL_SIZE = 64 << 10
RESPONSE_BUFFER_SIZE = 1 << 20
MAX_REVOKED = 64
CLAIM_SIZE = 16

# The numbers by which requests, bodies and messages are counted, in bytes except for the bits.
ID_BITS = 24
RESPONSE_WINDOW = 256 << 10
BODY_WINDOW = 256 << 10
PART_COST = 64

# The limits of messages on call connections, in bytes.
MAX_POOL_INLINE = 64 << 10
MAX_POOL_PAYLOAD = 1024 << 20
MAX_POOL_NAME = 1024
MAX_STASH_KEY = 16 << 10
MAX_POOL_MESSAGE = 83986
