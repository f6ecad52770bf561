package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"
)

// Vars are the variables of the environ that tell an app of the TLS of its
// connection. The names and forms are those of Apache's mod_ssl; every value is ASCII.
func Vars(state *tls.ConnectionState) [][2]string {
	vars := [][2]string{
		{"HTTPS", "on"},
		{"SSL_PROTOCOL", strings.Replace(tls.VersionName(state.Version), "TLS ", "TLSv", 1)},
		{"SSL_CIPHER", suiteName(state.CipherSuite)},
	}
	if len(state.PeerCertificates) == 0 {
		return append(vars, [2]string{"SSL_CLIENT_VERIFY", "NONE"})
	}
	// A certificate that did not verify ends the handshake.
	c := state.PeerCertificates[0]
	return append(vars,
		[2]string{"SSL_CLIENT_VERIFY", "SUCCESS"},
		[2]string{"SSL_CLIENT_S_DN", distinguishedName(c.RawSubject)},
		[2]string{"SSL_CLIENT_I_DN", distinguishedName(c.RawIssuer)},
		[2]string{"SSL_CLIENT_M_SERIAL", serial(c)},
		[2]string{"SSL_CLIENT_V_START", c.NotBefore.UTC().Format(asn1Time)},
		[2]string{"SSL_CLIENT_V_END", c.NotAfter.UTC().Format(asn1Time)},
		[2]string{"SSL_CLIENT_CERT", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))},
	)
}

// ClientName is the subject of the client's certificate as RFC 4514 writes it, "" if
// there is none.
func ClientName(state *tls.ConnectionState) string {
	if len(state.PeerCertificates) == 0 {
		return ""
	}
	return distinguishedName(state.PeerCertificates[0].RawSubject)
}

// asn1Time is how OpenSSL prints a time.
const asn1Time = "Jan _2 15:04:05 2006 GMT"

// serial is the serial number in hexadecimal, in whole bytes.
func serial(c *x509.Certificate) string {
	text := fmt.Sprintf("%X", c.SerialNumber)
	if len(text)%2 == 1 {
		text = "0" + text
	}
	return text
}

// attributes are the short names of RFC 4514, 3, and of what else is common.
var attributes = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "street",
	"2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.42": "GN", "2.5.4.43": "initials", "2.5.4.46": "dnQualifier",
	"2.5.4.17": "postalCode", "2.5.4.65": "pseudonym",
	"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC", "1.2.840.113549.1.9.1": "emailAddress",
}

// distinguishedName writes a name as RFC 4514 (RFC 2253 before it) has it, the
// last part first, in ASCII: the environ is Latin-1, so other characters are
// written as their bytes in UTF-8.
func distinguishedName(raw []byte) string {
	var name pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &name); err != nil || len(rest) > 0 {
		return "#" + hex.EncodeToString(raw) // as for a value that has no text
	}
	var b strings.Builder
	for i := len(name) - 1; i >= 0; i-- {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		for j, a := range name[i] {
			if j > 0 {
				b.WriteByte('+')
			}
			oid := a.Type.String()
			if short, ok := attributes[oid]; ok {
				oid = short
			}
			b.WriteString(oid)
			b.WriteByte('=')
			if text, ok := a.Value.(string); ok {
				escape(&b, text)
			} else if der, err := asn1.Marshal(a.Value); err == nil {
				b.WriteString("#" + hex.EncodeToString(der))
			}
		}
	}
	return b.String()
}

// escape writes the value of an attribute (RFC 4514, 2.4).
func escape(b *strings.Builder, text string) {
	for i := range len(text) {
		c := text[i]
		switch {
		case c < ' ' || c > '~':
			fmt.Fprintf(b, `\%02X`, c)
		case strings.IndexByte(`,+"\<>;=`, c) >= 0,
			c == ' ' && (i == 0 || i == len(text)-1),
			c == '#' && i == 0:
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
}
