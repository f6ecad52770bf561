package http1

var hostName = []byte("Host")

// interpret draws from the fields what a connection must know of them: where
// the body ends, and what happens after it. Whatever could make another party
// see the end elsewhere is refused, and what leaves open whom the request is
// for.
func (r *Request) interpret(cfg *Config) *Error {
	var contentType, close, keep bool
	var te codings
	var host, unmet *Field
	for i := range r.Fields {
		f := &r.Fields[i]
		switch len(f.Name) {
		case len("host"):
			if equalFold(f.Name, "host") {
				// RFC 9112 section 3.2; an empty one is valid there.
				if host != nil || len(f.Value) > 0 && !ValidHost(f.Value) {
					return newError(InvalidHeader, "'HOST'")
				}
				host = f
			}
		case len("expect"):
			if equalFold(f.Name, "expect") {
				if equalFold(f.Value, "100-continue") {
					// RFC 9110 section 10.1.1: ignored from HTTP/1.0.
					r.Expect100 = r.AtLeast11()
				} else {
					unmet = f
				}
			}
		case len("connection"):
			if equalFold(f.Name, "connection") {
				c, k := connectionOptions(f.Value)
				close, keep = close || c, keep || k
			}
		case len("content-type"):
			if equalFold(f.Name, "content-type") {
				if contentType {
					return newError(InvalidHeader, "'CONTENT-TYPE'")
				}
				contentType = true
			}
		case len("content-length"):
			if equalFold(f.Name, "content-length") {
				n, ok := digits(f.Value)
				if !ok || r.ContentLength >= 0 {
					return newError(InvalidHeader, "'CONTENT-LENGTH'")
				}
				r.ContentLength = n
			}
		case len("transfer-encoding"):
			if equalFold(f.Name, "transfer-encoding") {
				if err := te.add(f.Value); err != nil {
					return err
				}
			}
		}
	}
	// RFC 9112 sections 6.1 and 6.3: from HTTP/1.0, without chunks on top, or
	// together with a length, nobody knows where the body ends.
	if te.present && (!r.AtLeast11() || !te.chunked) {
		return newError(InvalidHeader, "'TRANSFER-ENCODING'")
	}
	if te.chunked && r.ContentLength >= 0 {
		return newError(InvalidHeader, "'CONTENT-LENGTH'")
	}
	// RFC 9112 section 3.2: also if the target names a host.
	if host == nil && r.AtLeast11() && !cfg.PermitMissingHost {
		return newError(InvalidHeader, "'HOST' is missing")
	}
	if unmet != nil {
		return NewError(ExpectationFailed, unmet.Value)
	}
	if r.Authority != nil {
		// RFC 9112 section 3.2.2: what the target says goes before the field.
		if host == nil {
			r.Fields = append(r.Fields, Field{hostName, r.Authority})
		} else {
			host.Value = r.Authority
		}
	}
	r.Chunked, r.ForceClose = te.chunked, te.compressed
	// RFC 9112 section 9.3, in its order. After CONNECT a client may send what is
	// for the other end of a tunnel, before it knows that there is none.
	r.KeepAlive = !close && (keep || r.AtLeast11()) && string(r.Method) != "CONNECT"
	return nil
}

// connectionOptions looks for the two options of a Connection field that
// decide on the life of the connection.
func connectionOptions(list []byte) (close, keep bool) {
	for more := true; more; {
		var option []byte
		option, list, more = nextToken(list)
		close = close || equalFold(option, "close")
		keep = keep || equalFold(option, "keep-alive")
	}
	return close, keep
}

// codings is what the Transfer-Encoding fields of a request amount to.
type codings struct {
	present    bool // there is at least one
	chunked    bool // it is the last one
	compressed bool
}

func (t *codings) add(list []byte) *Error {
	t.present = true
	value := list
	for more := true; more; {
		var coding []byte
		coding, list, more = nextToken(list)
		known := true
		switch {
		case equalFold(coding, "chunked"):
			if !t.chunked {
				t.chunked = true
				continue
			}
		case equalFold(coding, "identity"): // long gone (RFC 2616), and nothing
		case equalFold(coding, "gzip"), equalFold(coding, "deflate"), equalFold(coding, "compress"):
			t.compressed = true
		default:
			known = false
		}
		if !known {
			return NewError(UnsupportedTransferCoding, value)
		}
		if t.chunked {
			// Chunked twice, or something on top of the chunks.
			return newError(InvalidHeader, "'TRANSFER-ENCODING'")
		}
	}
	return nil
}
