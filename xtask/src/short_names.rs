//! Gives the functions that the engine and its glue exchange names of two letters.
//!
//! wasm-bindgen's own have a hash in them, which no compression makes shorter, once in the engine and once
//! in the glue. They are nobody's interface.

use anyhow::{Context as _, Result, bail};

const IMPORTS: u8 = 2;
const EXPORTS: u8 = 7;
/// The kinds of things that are exchanged, as the binary format numbers them.
const FUNCTION: u8 = 0;

/// Exports that are meant to be seen.
const PUBLIC: [&str; 2] = ["memory", "start"];

/// The engine and its glue, with short names in both.
///
/// # Errors
/// If `wasm` is no module of wasm-bindgen's, or the glue lacks something that it imports.
pub(crate) fn shorten(wasm: &[u8], glue: &str) -> Result<(Vec<u8>, String)> {
    let mut names = Names::default();
    let mut short = wasm.get(..8).context("no WebAssembly")?.to_vec();
    let mut reader = Reader { bytes: wasm, at: 8 };
    while reader.at < wasm.len() {
        let id = reader.byte()?;
        let length = reader.number()?;
        let content = reader.take(length)?;
        let rewritten = match id {
            IMPORTS => imports(content, &mut names)?,
            EXPORTS => exports(content, &mut names)?,
            _ => content.to_vec(),
        };
        short.push(id);
        put_number(&mut short, rewritten.len());
        short.extend(rewritten);
    }
    Ok((short, names.replaced_in(glue)?))
}

fn imports(section: &[u8], names: &mut Names) -> Result<Vec<u8>> {
    let (mut reader, mut out) = (Reader::new(section), Vec::new());
    let count = reader.number()?;
    put_number(&mut out, count);
    names.needed += count;
    for _ in 0..count {
        put_text(&mut out, reader.text()?);
        put_text(&mut out, &names.short(reader.text()?));
        let kind = reader.byte()?;
        if kind != FUNCTION {
            bail!("an import of kind {kind}: wasm-bindgen imports functions alone");
        }
        out.push(kind);
        put_number(&mut out, reader.number()?);
    }
    Ok(out)
}

fn exports(section: &[u8], names: &mut Names) -> Result<Vec<u8>> {
    let (mut reader, mut out) = (Reader::new(section), Vec::new());
    let count = reader.number()?;
    put_number(&mut out, count);
    for _ in 0..count {
        let name = reader.text()?;
        match PUBLIC.contains(&name) {
            true => put_text(&mut out, name),
            false => put_text(&mut out, &names.short(name)),
        }
        out.push(reader.byte()?);
        put_number(&mut out, reader.number()?);
    }
    Ok(out)
}

/// Long names and short ones, in the order in which they came.
#[derive(Default)]
struct Names {
    pairs: Vec<(String, String)>,
    /// How many of them, the first, the glue must know: what is imported.
    needed: usize,
}

impl Names {
    fn short(&mut self, long: &str) -> String {
        const LETTERS: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";
        let number = self.pairs.len();
        let letters = [LETTERS[number / 26 % 26], LETTERS[number % 26]];
        // A digit, so that it is no word of the glue's own.
        let short = format!(
            "{}{}",
            letters.map(char::from).iter().collect::<String>(),
            number / 676
        );
        self.pairs.push((long.to_owned(), short.clone()));
        short
    }

    /// `glue` with each long name, as a whole word, made short.
    fn replaced_in(&self, glue: &str) -> Result<String> {
        let mut out = String::with_capacity(glue.len());
        let mut seen = vec![false; self.pairs.len()];
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        let mut rest = glue;
        while let Some(start) = rest.find(is_word) {
            let (before, from) = rest.split_at(start);
            let end = from.find(|c| !is_word(c)).unwrap_or(from.len());
            let (word, after) = from.split_at(end);
            let found = self.pairs.iter().position(|(long, _)| long == word);
            out.push_str(before);
            out.push_str(found.map_or(word, |found| &self.pairs[found].1));
            if let Some(found) = found {
                seen[found] = true;
            }
            rest = after;
        }
        out.push_str(rest);
        match seen.iter().take(self.needed).position(|seen| !seen) {
            Some(unseen) => bail!("the glue does not know {}", self.pairs[unseen].0),
            None => Ok(out),
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn byte(&mut self) -> Result<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at + length);
        self.at += length;
        taken.context("the module ends too early")
    }

    /// LEB128.
    fn number(&mut self) -> Result<usize> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte()?;
            number |= usize::from(byte & 127) << shift;
            if byte < 128 {
                return Ok(number);
            }
            shift += 7;
            if shift > 28 {
                bail!("a number of more than 32 bits");
            }
        }
    }

    fn text(&mut self) -> Result<&'a str> {
        let length = self.number()?;
        Ok(str::from_utf8(self.take(length)?)?)
    }
}

fn put_number(out: &mut Vec<u8>, mut number: usize) {
    while number > 127 {
        out.push((number & 127) as u8 | 128);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len());
    out.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One imported function, one exported, and the memory.
    fn module(imported: &str, exported: &str) -> Vec<u8> {
        let mut imports = vec![1];
        put_text(&mut imports, "./glue.js");
        put_text(&mut imports, imported);
        imports.extend([FUNCTION, 0]);
        let mut exports = vec![2];
        put_text(&mut exports, exported);
        exports.extend([FUNCTION, 1]);
        put_text(&mut exports, "memory");
        exports.extend([2, 0]);
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        for (id, section) in [(IMPORTS, imports), (EXPORTS, exports), (10, vec![7; 200])] {
            module.push(id);
            put_number(&mut module, section.len());
            module.extend(section);
        }
        module
    }

    #[test]
    fn what_is_exchanged_is_called_the_same_on_both_sides_and_the_rest_stays() {
        let wasm = module("__wbg_set_0123456789abcdef", "__wbindgen_malloc");
        let glue = "({__wbg_set_0123456789abcdef(a) {}, x: wasm.__wbindgen_malloc(wasm.memory), __wbindgen_malloc_2: 1})";
        let (short, glue) = shorten(&wasm, glue).expect("it is a module");
        assert_eq!(short, module("aa0", "ab0"));
        assert_eq!(
            glue,
            "({aa0(a) {}, x: wasm.ab0(wasm.memory), __wbindgen_malloc_2: 1})"
        );
    }

    #[test]
    fn a_name_that_the_glue_lacks_and_a_module_cut_short_are_errors() {
        let wasm = module("__wbg_set_0123456789abcdef", "start");
        assert!(shorten(&wasm, "({})").is_err());
        // Within the first section.
        for end in 9..40 {
            assert!(shorten(&wasm[..end], "__wbg_set_0123456789abcdef").is_err());
        }
    }
}
