//! Good inputs with edits: any bytes are a script that says which input and which edits.

use serde_json::Value;

/// No mutant is longer.
const LONGEST: usize = 256 << 10;

/// No edit makes a value of more parts: lists double, and two dozen edits would make millions of them.
const PARTS: usize = 16 << 10;

/// Words that are special to some reader.
pub const WORDS: &[&str] = &[
    "\"",
    "'",
    "\\",
    "\n",
    "\r",
    "\0",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "{{ ",
    " }}",
    "{% for i in range(9999) %}",
    "{% endfor %}",
    "=",
    ":",
    ",",
    ".",
    "/",
    "#",
    "null",
    "true",
    "-1",
    "0",
    "4294967296",
    "18446744073709551616",
    "1e999",
    "NaN",
    "9999-12-31T23:59:59Z",
    "-009999-01-01T00:00:00Z",
    "\u{feff}",
    "\u{202e}",
    "\u{1b}[31m",
    "é",
    "𝒳",
    "\"\"\"",
    "machines.web",
    "volumes.data",
    "machines.web/4294967295",
    "ami-",
    "sg-",
    "50GiB",
    "16385TiB",
    "100%",
    "evenkeel:stack",
    "evenkeel:launch",
    "g1 s0-4294967295",
    "f:metadata",
    "k:{\"name\":\"x\"}",
    "v:\"x\"",
    "i:0",
    ".",
    "<item>",
    "</item>",
    "<nextToken>",
    "&#0;",
    "&lt;",
    "<![CDATA[",
    "<!--",
];

/// The next number of a script; zero at its end.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first)
    }

    fn wide(&mut self) -> usize {
        self.byte() << 8 | self.byte()
    }

    fn below(&mut self, most: usize) -> usize {
        if most == 0 { 0 } else { self.wide() % most }
    }

    fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}

/// One of these inputs, edited byte by byte. No inputs: the script itself.
pub fn bytes(seeds: &[Vec<u8>], script: &[u8]) -> Vec<u8> {
    let mut script = Script(script);
    let first = script.byte();
    let Some(seed) = seeds.get(first % seeds.len().max(1)) else { return script.0.to_vec() };
    let mut text = seed.clone();
    while !script.is_over() && text.len() < LONGEST {
        let kind = script.byte() % 9;
        let at = script.below(text.len() + 1);
        let end = (at + script.byte()).min(text.len());
        match kind {
            0 => drop(text.drain(at..end)),
            1 => {
                let piece = text[at..end].repeat(1 + script.byte() % 8);
                drop(text.splice(at..at, piece));
            }
            2 => {
                let other = &seeds[script.byte() % seeds.len()];
                let from = script.below(other.len() + 1);
                let piece = other[from..(from + end - at).min(other.len())].to_vec();
                drop(text.splice(at..end, piece));
            }
            3 => drop(text.splice(at..end, WORDS[script.byte() % WORDS.len()].bytes())),
            4 | 5 => drop(text.splice(at..at, WORDS[script.byte() % WORDS.len()].bytes())),
            6 => {
                if let Some(byte) = text.get_mut(at) {
                    *byte = u8::try_from(script.byte()).unwrap_or_default();
                }
            }
            7 => {
                // What nests, nests deep.
                let piece = WORDS[script.byte() % WORDS.len()].repeat(64 * (1 + script.byte() % 32));
                drop(text.splice(at..at, piece.into_bytes()));
            }
            _ => {
                if script.byte() < 16 {
                    text.truncate(at);
                }
            }
        }
    }
    text.truncate(LONGEST);
    text
}

/// A value with edits, parts of `other` among them.
pub fn json(value: &Value, other: &Value, script: &[u8]) -> Value {
    let mut script = Script(script);
    let mut value = value.clone();
    for _ in 0..64 {
        if script.is_over() {
            break;
        }
        let piece = inside(&mut other.clone(), &mut script).clone();
        let kind = script.byte();
        let word = WORDS[script.byte() % WORDS.len()];
        let whole = parts(&value);
        let place = inside(&mut value, &mut script);
        let grows = match (kind % 8, &*place) {
            (0, _) | (4, Value::Object(_)) => parts(&piece),
            (4 | 5, Value::Array(list)) => list.first().map_or(parts(&piece), parts),
            _ => 0,
        };
        if whole + grows > PARTS {
            continue;
        }
        match (kind % 8, &mut *place) {
            (0, _) => *place = piece,
            (1, _) => *place = Value::Null,
            (2, _) => *place = Value::from(word),
            (3, _) => *place = Value::from(i64::from_le_bytes([kind as u8; 8])),
            (4, Value::Object(map)) => drop(map.insert(word.to_owned(), piece)),
            (4 | 5, Value::Array(list)) => {
                // The same entry twice, as no server would have it.
                let copy = list.first().cloned().unwrap_or(piece);
                list.push(copy);
            }
            (5, Value::Object(map)) => {
                let key = map.keys().next().cloned();
                drop(key.and_then(|key| map.remove(&key)));
            }
            (6, _) => *place = Value::from(vec![std::mem::take(place)]),
            (_, _) => *place = serde_json::json!({ word: std::mem::take(place) }),
        }
    }
    value
}

/// The tables, lists and scalars in a value, itself among them.
fn parts(value: &Value) -> usize {
    match value {
        Value::Object(map) => 1 + map.values().map(parts).sum::<usize>(),
        Value::Array(list) => 1 + list.iter().map(parts).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
}

/// A place inside of a value.
fn inside<'a>(value: &'a mut Value, script: &mut Script<'_>) -> &'a mut Value {
    // A JSON pointer (RFC 6901) to it.
    let (mut path, mut at) = (String::new(), &*value);
    for _ in 0..24 {
        let turn = script.byte();
        let step = match at {
            Value::Object(map) if !turn.is_multiple_of(5) && !map.is_empty() => {
                map.iter().nth(turn % map.len()).map(|(key, v)| (key.replace('~', "~0").replace('/', "~1"), v))
            }
            Value::Array(list) if !turn.is_multiple_of(5) && !list.is_empty() => {
                let nth = turn % list.len();
                Some((nth.to_string(), &list[nth]))
            }
            Value::Object(_) | Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                None
            }
        };
        let Some((step, next)) = step else { break };
        path.push('/');
        path.push_str(&step);
        at = next;
    }
    value.pointer_mut(&path).expect("it was just walked")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_script_is_the_first_input_and_every_edit_is_one() {
        let seeds = vec![b"one".to_vec(), b"two".to_vec()];
        assert_eq!(bytes(&seeds, &[]), b"one");
        assert_eq!(bytes(&seeds, &[1]), b"two");
        assert_eq!(bytes(&seeds, &[0, 6, 0, 0, 0, b'O']), b"One");
        assert_eq!(bytes(&[], &[0, 1, 2]), [1, 2]);
    }

    #[test]
    fn no_script_makes_an_endless_value() {
        // Each edit puts the first entry into the list once more, or wraps the whole into a list.
        let script = [[0, 5, 0, 0], [0, 6, 0, 0]].concat().repeat(40);
        let value = json(&serde_json::json!([["x", "y"]]), &Value::Null, &script);
        assert!((1_000..PARTS + 64).contains(&parts(&value)), "{}", parts(&value));
    }

    #[test]
    fn no_script_makes_an_endless_mutant() {
        let script = [7, 0, 0, 0, 255, 31].repeat(4096);
        assert!(bytes(&[vec![b'x'; 1000]], &script).len() <= LONGEST);
    }
}
