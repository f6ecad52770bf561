package http1

// The bounds that hold whatever the settings say.
const (
	maxRequestLine      = 8190
	maxUnboundedLine    = 1 << 20 // limit_request_line 0
	maxRequestFields    = 32768
	defaultFieldSize    = 8190
	defaultRequestLine  = 4094
	defaultRequestCount = 100
	defaultRequestHead  = 32 << 10
)

// Config is how strict the parser is. The zero value bounds nothing that has
// no bound of its own; use [DefaultConfig]. The fields are Gunicorn's settings.
type Config struct {
	// LimitRequestLine is the largest request line in bytes without its
	// CRLF: 0 means 1 MiB, anything above 8190 means 8190.
	LimitRequestLine int
	// LimitRequestFields is the largest number of fields in a head, and
	// in the trailers: 0 means 32768, the upper bound.
	LimitRequestFields int
	// LimitRequestFieldSize is the largest field line in bytes with its
	// CRLF and with what is folded into it; 0 means 8190.
	LimitRequestFieldSize int
	// LimitRequestHead is the largest head in bytes, from its first byte to
	// the empty line; 0 means no bound but those above.
	LimitRequestHead int

	PermitObsoleteFolding           bool // folded lines are joined with one space (RFC 9112 section 5.2)
	StripHeaderSpaces               bool // whitespace between a field name and its colon is dropped
	PermitUnconventionalHTTPMethod  bool // any token is a method: lower case, #, any length
	PermitUnconventionalHTTPVersion bool // any HTTP/d.d is a version
	CasefoldHTTPMethod              bool // methods are put in upper case

	PermitMissingHost    bool // HTTP/1.1 without Host is served (RFC 9112 section 3.2 forbids that)
	PermitNonASCIITarget bool // bytes from 0x80 on may stand in a target (RFC 9112 section 3.2 has none)
}

// DefaultConfig has the defaults of the settings.
func DefaultConfig() Config {
	return Config{
		LimitRequestLine:      defaultRequestLine,
		LimitRequestFields:    defaultRequestCount,
		LimitRequestFieldSize: defaultFieldSize,
		LimitRequestHead:      defaultRequestHead,
	}
}

func (c *Config) lineLimit() int {
	switch {
	case c.LimitRequestLine == 0:
		return maxUnboundedLine
	case c.LimitRequestLine < 0 || c.LimitRequestLine > maxRequestLine:
		return maxRequestLine
	}
	return c.LimitRequestLine
}

func (c *Config) fieldLimit() int {
	if c.LimitRequestFields <= 0 || c.LimitRequestFields > maxRequestFields {
		return maxRequestFields
	}
	return c.LimitRequestFields
}

// MaxHead is the size of the largest head, in bytes: no other is parsed to its end.
func (c *Config) MaxHead() int {
	parts := c.lineLimit() + len("\r\n") + c.fieldLimit()*c.fieldSizeLimit() + len("\r\n")
	if c.LimitRequestHead > 0 {
		return min(parts, c.LimitRequestHead)
	}
	return parts
}

func (c *Config) fieldSizeLimit() int {
	if c.LimitRequestFieldSize <= 0 {
		return defaultFieldSize
	}
	return c.LimitRequestFieldSize
}
