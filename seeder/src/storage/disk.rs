//! Files on this machine's disk, kept open for a while.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::Backing;
use crate::source::{SourceFile, read_exact_at};

/// Files kept open at once, all torrents of a folder together.
const MAX_OPEN: usize = 64;

/// They, as they were listed.
#[derive(Debug)]
pub(super) struct Disk {
    files: Vec<SourceFile>,
    open: Mutex<VecDeque<(usize, Arc<File>)>>,
}

impl Disk {
    pub(super) fn new(files: Vec<SourceFile>) -> Self {
        Self {
            files,
            open: Mutex::default(),
        }
    }

    fn file(&self, place: usize) -> io::Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = open.iter().position(|(other, _)| *other == place) {
            if let Some(found) = open.remove(at) {
                open.push_back(found);
            }
        } else {
            if open.len() >= MAX_OPEN {
                open.pop_front();
            }
            let source = &self.files[place];
            let file = source
                .open()
                .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", source.path.display())))?;
            open.push_back((place, Arc::new(file)));
        }
        open.back()
            .map(|(_, file)| Arc::clone(file))
            .ok_or_else(|| io::Error::other("no file"))
    }

    fn forget(&self, place: usize) {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|(other, _)| *other != place);
    }
}

impl Backing for Disk {
    fn read(&self, place: usize, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let source = &self.files[place];
        let file = self.file(place)?;
        let read = read_exact_at(&file, into, offset).and_then(|()| source.check(&file));
        if read.is_err() {
            self.forget(place);
        }
        read.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", source.path.display())))
    }

    fn changed(&self) -> Vec<usize> {
        let places = self.files.iter().enumerate();
        let changed = places.filter(|(_, source)| source.open().is_err());
        changed.map(|(place, _)| place).collect()
    }

    fn files(&self) -> &[SourceFile] {
        &self.files
    }
}
