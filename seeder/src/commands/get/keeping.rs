//! To files: what is there is looked at first, the rest is fetched, and then it is seeded if that is wanted.

use headwater_core::metainfo::Metainfo;
use tokio::sync::watch;

use super::given;
use super::serving::Server;
use super::tell::Teller;
use crate::config::Get;
use crate::engine::Handle;
use crate::error::{Error, Result};
use crate::keep::{self, Out, Place};

/// Until all is there; for ever, if it is to be seeded or served.
pub(super) async fn keep(
    get: &Get,
    out: &Out,
    metainfo: &Metainfo,
    server: Option<&mut Server>,
    handle: &Handle,
    teller: &Teller,
) -> Result<()> {
    let files = given::chosen(metainfo, get.file.as_deref())?;
    let place = Place::new(out, metainfo)?;
    teller.known(metainfo, &files);
    teller.keeps(&place);
    let bar = teller.checking();
    let (torrent, checked) = (metainfo.clone(), bar.clone());
    let prepared =
        tokio::task::spawn_blocking(move || keep::prepare(place, &torrent, &files, &checked)).await;
    bar.finish_and_clear();
    let keep = prepared.map_err(|e| Error::Other(e.to_string()))??;
    let mut trouble = keep.trouble.clone();
    // A tracker may be gone for good since then.
    if !metainfo.is_private() {
        keep.neighbours
            .iter()
            .for_each(|neighbour| handle.hear(0, *neighbour));
    }
    let kept = handle.keep(0, keep);
    if let Some(server) = server {
        teller.serving(&server.open(metainfo, handle, get.window));
    }
    tokio::select! {
        kept = kept => kept.map_err(|_| Error::Interrupted)?,
        () = tell_trouble(&mut trouble, teller) => {}
    }
    teller.all_kept();
    if get.seed || get.serve.is_some() {
        tell_trouble(&mut trouble, teller).await;
    }
    Ok(())
}

/// For ever.
async fn tell_trouble(trouble: &mut watch::Receiver<Option<String>>, teller: &Teller) {
    while trouble.changed().await.is_ok() {
        teller.trouble(trouble.borrow_and_update().as_deref());
    }
    std::future::pending().await
}
