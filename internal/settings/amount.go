package settings

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// An Amount is a number, or a share of something that is known later. The zero Amount is
// none.
type Amount struct {
	Number int64
	Share  float64 // 0 to 1; 0: Number counts
}

// Of returns the amount, where all is what it may be a share of.
func (a Amount) Of(all int64) int64 {
	if a.Share > 0 {
		return int64(a.Share * float64(all))
	}
	return a.Number
}

// units are what sizes in bytes may end with.
var units = map[string]int64{"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}

// parseAmount reads 12, 25% and, if it is a size in bytes, 512M, 512MiB or 1.5G.
func parseAmount(text string, size bool) (Amount, error) {
	text = strings.TrimSpace(text)
	if digits, ok := strings.CutSuffix(text, "%"); ok {
		n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		if err != nil || !(n > 0) || n > 100 {
			return Amount{}, fmt.Errorf("%s is no share: it is more than 0%% and at most 100%%", pyRepr(text))
		}
		return Amount{Share: n / 100}, nil
	}
	number, unit := text, ""
	if size {
		upper := strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(text), "B"), "I")
		number = strings.TrimRight(upper, "KMGT")
		unit = upper[len(number):]
	}
	factor, ok := units[unit]
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	bytes := n * float64(factor)
	switch {
	case !ok, err != nil, math.IsNaN(n), n < 0, bytes >= 1<<62, strings.ContainsAny(number, "xXpP_"), unit == "" && n != math.Trunc(n):
		if size {
			return Amount{}, fmt.Errorf("%s is no size: it is a number of bytes, as 512M or 2G, or a share of the memory, as 25%%", pyRepr(text))
		}
		return Amount{}, fmt.Errorf("%s is neither a whole number nor a share, as 25%%", pyRepr(text))
	}
	return Amount{Number: int64(bytes)}, nil
}

// checkAmount accepts what parseAmount does. The value stays the text that it was.
func checkAmount(s *Setting, v any) (any, error) {
	var text string
	switch v := v.(type) {
	case int:
		text = strconv.Itoa(v)
	case string:
		text = strings.TrimSpace(v)
	default:
		return nil, fmt.Errorf("Not a number: %s", pyStr(v))
	}
	a, err := parseAmount(text, s.Kind == KindSize)
	if err == nil && a.Share == 0 && a.Number < int64(s.Min) {
		return nil, fmt.Errorf("%s must be at least %d, got %s", s.Name, s.Min, text)
	}
	return text, err
}

// amount returns a value that checkAmount has accepted.
func (c *Config) amount(name string) Amount {
	a, err := parseAmount(value[string](c, name), Lookup(name).Kind == KindSize)
	if err != nil {
		panic(errors.Join(errors.New("settings: "+name), err))
	}
	return a
}
