//! Lists of processors and memory nodes as the kernel writes them: `0-3,7`. Pure.

/// Parses a list into ranges, first and last included. As runc, blanks around an item and empty items are nothing.
///
/// `None` if it is no such list, a range runs backwards, or a number is `limit` or more.
pub fn parse(list: &str, limit: u32) -> Option<Vec<(u32, u32)>> {
    let items = list.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| range(item).filter(|(first, last)| first <= last && *last < limit)).collect()
}

fn range(item: &str) -> Option<(u32, u32)> {
    let (first, last) = item.split_once('-').unwrap_or((item, item));
    Some((number(first)?, number(last)?))
}

/// Digits only: the standard parser takes a sign as well.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lists_are_those_of_the_kernel() {
        let good: [(&str, &[(u32, u32)]); 6] = [
            ("0", &[(0, 0)]),
            ("0-3,7", &[(0, 3), (7, 7)]),
            ("5,2-2", &[(5, 5), (2, 2)]),
            (" 1 , 3-4 ", &[(1, 1), (3, 4)]),
            ("", &[]),
            ("0-63", &[(0, 63)]),
        ];
        for (text, expected) in good {
            assert_eq!(parse(text, 64).as_deref(), Some(expected), "{text:?}");
        }
        for text in
            ["3-1", "64", "0-64", "-1", "1-", "-", "a", "1;2", "+1", "1 2", "0x1", "99999999999", "1--2"]
        {
            assert_eq!(parse(text, 64), None, "{text:?}");
        }
    }
}
