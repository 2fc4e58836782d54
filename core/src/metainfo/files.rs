//! The files of an info dictionary: the list of v1, the tree of v2, and both agreeing in a hybrid.

use alloc::vec::Vec;

use super::error::Error;
use super::limits::Limits;
use super::paths::safe_component;
use crate::bencode::{Entries, Value};
use crate::hash::Sha256Digest;

/// A file as the dictionary has it.
pub(super) struct Found<'a> {
    pub(super) path: Vec<&'a [u8]>,
    pub(super) length: u64,
    pub(super) pad: bool,
    pub(super) root: Option<Sha256Digest>,
}

/// Files found so far, no more than the limits let in.
struct Collection<'a, 'l> {
    files: Vec<Found<'a>>,
    path_bytes: usize,
    limits: &'l Limits,
}

impl<'a, 'l> Collection<'a, 'l> {
    fn new(limits: &'l Limits) -> Self {
        Self {
            files: Vec::new(),
            path_bytes: 0,
            limits,
        }
    }

    fn push(&mut self, file: Found<'a>) -> Result<(), Error> {
        if self.files.len() >= self.limits.files {
            return Err(Error::TooMany {
                what: "files",
                limit: self.limits.files,
            });
        }
        // A deep tree names its folders once, but each of its files has them all in its path.
        let costs = file.path.iter().map(|name| name.len() + Limits::COMPONENT);
        self.path_bytes += costs.sum::<usize>();
        if self.path_bytes > self.limits.path_bytes {
            return Err(Error::TooMany {
                what: "bytes in paths",
                limit: self.limits.path_bytes,
            });
        }
        self.files.push(file);
        Ok(())
    }

    fn finish(self) -> Result<Vec<Found<'a>>, Error> {
        if self.files.is_empty() {
            return Err(Error::Missing("file"));
        }
        Ok(self.files)
    }
}

/// The files of v1: `length` for one file, else `files`.
pub(super) fn files_of_list<'a>(
    info: Value<'a, '_>,
    list: Option<Value<'a, '_>>,
    name: &'a [u8],
    limits: &Limits,
) -> Result<Vec<Found<'a>>, Error> {
    let Some(files) = list.and_then(|list| list.list()) else {
        return Ok(alloc::vec![Found {
            path: alloc::vec![name],
            length: file_length(info, &[name])?,
            pad: false,
            root: None,
        }]);
    };
    let mut found = Collection::new(limits);
    for file in files {
        found.push(file_of_list(file, limits)?)?;
    }
    found.finish()
}

fn file_of_list<'a>(file: Value<'a, '_>, limits: &Limits) -> Result<Found<'a>, Error> {
    let components = file
        .get(b"path.utf-8")
        .and_then(|path| path.list())
        .or_else(|| file.get(b"path")?.list());
    let mut path = Vec::new();
    for component in components.into_iter().flatten() {
        let component = component.bytes().ok_or(Error::Invalid {
            key: "path",
            why: "it is not a list of strings",
        })?;
        if path.len() >= limits.path_depth {
            return Err(too_deep(&path));
        }
        path.push(component);
    }
    let is_pad = is(file, b'p') || path.iter().any(|name| is_bitcomet_pad(name));
    if path.is_empty() {
        if !is_pad {
            return Err(Error::Missing("path"));
        }
        path.push(b".pad");
    }
    Ok(Found {
        length: file_length(file, &path)?,
        pad: is_pad,
        path,
        root: None,
    })
}

/// Whether a file has this attribute (BEP 47).
fn is(file: Value<'_, '_>, attribute: u8) -> bool {
    file.get(b"attr")
        .and_then(|attributes| attributes.bytes())
        .is_some_and(|attributes| attributes.contains(&attribute))
}

/// BitComet padded before there was an attribute for it.
fn is_bitcomet_pad(name: &[u8]) -> bool {
    let mark = b"_____padding_file_";
    name.windows(mark.len()).any(|part| part == mark)
}

/// The files of v2, in the order of the tree's keys as they stand.
pub(super) fn files_of_tree<'a>(
    info: Value<'a, '_>,
    limits: &Limits,
) -> Result<Vec<Found<'a>>, Error> {
    let tree = info.get(b"file tree").ok_or(Error::Missing("file tree"))?;
    let tree = tree.dict().ok_or(Error::Invalid {
        key: "file tree",
        why: "it is not a dictionary",
    })?;
    let mut found = Collection::new(limits);
    // An own stack, not the thread's: depth is the stranger's choice.
    let mut folders: Vec<Entries<'a, '_>> = alloc::vec![tree];
    let mut path: Vec<&[u8]> = Vec::new();
    while let Some(folder) = folders.last_mut() {
        let Some((name, node)) = folder.next() else {
            folders.pop();
            path.pop();
            continue;
        };
        path.push(name);
        if name.is_empty() {
            return Err(file_error(
                &path,
                "a name is empty, or a file stands where a folder must",
            ));
        }
        if path.len() > limits.path_depth {
            return Err(too_deep(&path));
        }
        let children = node
            .dict()
            .ok_or_else(|| file_error(&path, "it is not a dictionary"))?;
        match children.clone().next() {
            Some((b"", file)) if children.clone().nth(1).is_none() => {
                found.push(file_of_tree(file, &path)?)?;
                path.pop();
            }
            _ => folders.push(children),
        }
    }
    found.finish()
}

fn file_of_tree<'a>(file: Value<'a, '_>, path: &[&'a [u8]]) -> Result<Found<'a>, Error> {
    if is(file, b'p') {
        return Err(file_error(path, "it is padding, which v2 does not have"));
    }
    let length = file_length(file, path)?;
    let root = if length > 0 {
        let root = file
            .get(b"pieces root")
            .and_then(|root| Sha256Digest::from_slice(root.bytes()?))
            .filter(|root| root.0 != [0; 32])
            .ok_or_else(|| file_error(path, "it has no pieces root, or one that is no hash"))?;
        Some(root)
    } else {
        None
    };
    Ok(Found {
        path: path.to_vec(),
        length,
        pad: false,
        root,
    })
}

/// Gives the files of a hybrid's list the roots of its tree, if both are the same files.
pub(super) fn joined<'a>(
    mut list: Vec<Found<'a>>,
    tree: Vec<Found<'a>>,
) -> Result<Vec<Found<'a>>, Error> {
    let mut tree = tree.into_iter();
    for file in list.iter_mut().filter(|file| !file.pad) {
        let twin = tree.next().ok_or(Error::Hybrid {
            why: "the v1 list has more files",
        })?;
        if twin.path != file.path {
            return Err(Error::Hybrid {
                why: "a file has two paths, or the files stand in another order",
            });
        }
        if twin.length != file.length {
            return Err(Error::Hybrid {
                why: "a file has two lengths",
            });
        }
        file.root = twin.root;
    }
    if tree.next().is_some() {
        return Err(Error::Hybrid {
            why: "the v2 tree has more files",
        });
    }
    Ok(list)
}

/// A link has no bytes of its own, whatever it says; we keep it as an empty file.
fn file_length(file: Value<'_, '_>, path: &[&[u8]]) -> Result<u64, Error> {
    if is(file, b'l') {
        return Ok(0);
    }
    file.get(b"length")
        .and_then(|length| u64::try_from(length.int()?).ok())
        .ok_or_else(|| file_error(path, "it has no length, or one that is no usable number"))
}

fn too_deep(path: &[&[u8]]) -> Error {
    file_error(path, "it lies too many folders deep")
}

pub(super) fn file_error(path: &[&[u8]], why: &'static str) -> Error {
    // Long enough to find it, short enough for a message.
    let start = path.len().min(4);
    let names: Vec<_> = path[..start].iter().map(|c| safe_component(c)).collect();
    Error::File {
        path: names.join("/"),
        why,
    }
}
