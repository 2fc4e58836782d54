//! Names from strangers, made safe to join to a folder and to show.
//!
//! Nothing is refused for its name: what could mislead a file system or a reader is replaced, and
//! a path that then is another's gets a number. The bytes of the torrent stay as they are.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::index::Index;

/// Longest component that file systems take, in bytes.
const MAX_COMPONENT: usize = 255;

/// What of a component's end is kept when it is too long: its extension.
const MAX_EXTENSION: usize = 16;

/// One component: no separators, control or direction marks, not empty, not `.` or `..`.
pub(super) fn safe_component(bytes: &[u8]) -> String {
    let name: String = String::from_utf8_lossy(bytes).chars().map(safe).collect();
    match name.as_str() {
        "" | "." | ".." => "_".into(),
        _ => shortened(name),
    }
}

fn safe(c: char) -> char {
    let turns_text = matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let separates = matches!(c, '/' | '\\');
    if separates || turns_text || c.is_control() || c == char::REPLACEMENT_CHARACTER {
        '_'
    } else {
        c
    }
}

fn shortened(name: String) -> String {
    if name.len() <= MAX_COMPONENT {
        return name;
    }
    let (stem, extension) = split_extension(&name);
    let mut end = (MAX_COMPONENT - extension.len()).min(stem.len());
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{extension}", &stem[..end])
}

fn split_extension(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= MAX_EXTENSION => name.split_at(dot),
        _ => (name, ""),
    }
}

/// Paths given out so far, each only once.
#[derive(Debug, Default)]
pub(super) struct Paths {
    nodes: Vec<Node>,
    /// Nodes by the folder they are in and their name.
    places: Index,
}

#[derive(Debug)]
struct Node {
    is_folder: bool,
    /// Numbers tried so far to tell others of this name apart.
    tried: u32,
    /// What a folder of this name is called, since a file has it.
    folder_alias: Option<String>,
}

/// The folder all paths start in.
const ROOT: u32 = 0;

impl Paths {
    /// The path to use for these components, themselves safe.
    pub(super) fn place(&mut self, components: Vec<String>) -> Vec<String> {
        let mut folder = ROOT;
        let mut path = Vec::with_capacity(components.len());
        let last = components.len().saturating_sub(1);
        for (depth, name) in components.into_iter().enumerate() {
            let name = if depth < last {
                self.folder(&mut folder, name)
            } else {
                self.free(folder, name, false)
            };
            path.push(name);
        }
        path
    }

    /// Steps into a folder, made if need be; says what it is called.
    fn folder(&mut self, parent: &mut u32, name: String) -> String {
        let name = match self.find(*parent, &name) {
            None => self.free(*parent, name, true),
            Some(node) if self.nodes[node].is_folder => name,
            Some(node) => match self.nodes[node].folder_alias.clone() {
                Some(alias) => alias,
                None => {
                    let alias = self.free(*parent, name, true);
                    self.nodes[node].folder_alias = Some(alias.clone());
                    alias
                }
            },
        };
        if let Some(node) = self.find(*parent, &name) {
            // After the root, which is no node.
            *parent = node as u32 + 1;
        }
        name
    }

    /// Takes this name, or with a number if it is taken.
    fn free(&mut self, parent: u32, name: String, is_folder: bool) -> String {
        let mut free = name.clone();
        if let Some(taken) = self.find(parent, &name) {
            while free == name || self.find(parent, &free).is_some() {
                self.nodes[taken].tried += 1;
                free = numbered(&name, self.nodes[taken].tried);
            }
        }
        let number = self.nodes.len() as u32;
        self.places.get_or_insert(&place(parent, &free), number);
        self.nodes.push(Node {
            is_folder,
            tried: 0,
            folder_alias: None,
        });
        free
    }

    fn find(&self, parent: u32, name: &str) -> Option<usize> {
        let node = self.places.get(&place(parent, name))?;
        Some(node as usize)
    }
}

fn place(parent: u32, name: &str) -> Vec<u8> {
    [&parent.to_be_bytes(), name.as_bytes()].concat()
}

fn numbered(name: &str, number: u32) -> String {
    let (stem, extension) = split_extension(name);
    let number = number.to_string();
    let room = MAX_COMPONENT - extension.len() - number.len() - 1;
    let mut end = stem.len().min(room);
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}.{number}{extension}", &stem[..end])
}
