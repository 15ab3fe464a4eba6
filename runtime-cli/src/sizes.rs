//! Numbers as options give them: sizes with a unit, and integers; errors have Go's words, which callers know.

/// Bytes: a number, which may have a fraction, and a unit of 1024 (`k`, `m`, `g`, `t`, `p` in any case, also `KB` and `KiB`), or -1 for no limit.
pub fn bytes(text: &str) -> Result<i64, String> {
    if text == "-1" {
        return Ok(-1);
    }
    let digits = text.rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ');
    let digits = digits.ok_or_else(|| format!("invalid size: '{text}'"))?;
    let (number, unit) = text.split_at(digits + 1);
    let number = number.strip_suffix(' ').unwrap_or(number);
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let value: Option<f64> = number.parse().ok().filter(|_| plain);
    let value = value.ok_or_else(|| format!("invalid size: '{text}'"))?;
    let factor = factor(&unit.to_ascii_lowercase()).ok_or_else(|| format!("invalid suffix: '{unit}'"))?;
    let value = value * factor as f64;
    if value >= i64::MAX as f64 {
        return Err(format!("invalid size: '{text}'"));
    }
    // Below 2^63 by the check, and not negative by the digits.
    Ok(value as i64)
}

fn factor(unit: &str) -> Option<u64> {
    let letter = unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(unit);
    match letter {
        "" if unit != "ib" => Some(1),
        "k" => Some(1 << 10),
        "m" => Some(1 << 20),
        "g" => Some(1 << 30),
        "t" => Some(1 << 40),
        "p" => Some(1 << 50),
        _ => None,
    }
}

/// A decimal number without sign.
pub fn unsigned(text: &str) -> Result<u64, String> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().map_err(|_| strconv("ParseUint", text, plain))
}

/// A decimal number.
pub fn signed(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().map_err(|_| strconv("ParseInt", text, plain))
}

fn strconv(function: &str, text: &str, plain: bool) -> String {
    let why = if plain { "value out of range" } else { "invalid syntax" };
    format!("strconv.{function}: parsing {text:?}: {why}")
}

#[cfg(test)]
mod tests {
    use super::{bytes, signed, unsigned};

    #[test]
    fn sizes_have_units_of_1024_in_any_case() {
        for (text, expected) in [
            ("0", 0),
            ("-1", -1),
            ("4096", 4096),
            ("5b", 5),
            ("32m", 32 << 20),
            ("32M", 32 << 20),
            ("1KB", 1024),
            ("1kib", 1024),
            ("1.5g", 3 << 29),
            ("2 GiB", 2 << 30),
            ("1t", 1 << 40),
            ("1p", 1 << 50),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for (text, why) in [
            ("", "invalid size: ''"),
            ("m", "invalid size: 'm'"),
            ("-2", "invalid size: '-2'"),
            ("-5m", "invalid size: '-5m'"),
            ("1e3", "invalid size: '1e3'"),
            ("1..5", "invalid size: '1..5'"),
            ("nan 1", "invalid size: 'nan 1'"),
            ("9223372036854775808", "invalid size: '9223372036854775808'"),
            ("9999999p", "invalid size: '9999999p'"),
            ("1x", "invalid suffix: 'x'"),
            ("1ib", "invalid suffix: 'ib'"),
            ("1kk", "invalid suffix: 'kk'"),
            ("1kiB ", "invalid size: '1kiB '"),
        ] {
            assert_eq!(bytes(text), Err(why.into()), "{text:?}");
        }
    }

    #[test]
    fn integers_are_refused_in_gos_words() {
        assert_eq!((unsigned("7"), signed("-7")), (Ok(7), Ok(-7)));
        assert_eq!(unsigned("-7"), Err("strconv.ParseUint: parsing \"-7\": invalid syntax".into()));
        assert_eq!(unsigned(""), Err("strconv.ParseUint: parsing \"\": invalid syntax".into()));
        let large = "strconv.ParseInt: parsing \"9223372036854775808\": value out of range";
        assert_eq!(signed("9223372036854775808"), Err(large.into()));
    }
}
