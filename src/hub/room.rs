//! Taking away on a disk that is nearly full: a little at a time, since what is taken away needs room first.

use super::{Error, Hub};
use crate::store::{AppRow, Batch};

/// How many rows are written at once.
const ROWS: usize = 200;
/// The same, on a disk that is nearly full.
const ROWS_WHERE_SHORT: usize = 64;

impl Hub {
    /// Writes rows of which each is good without the others and brings nothing new, as many at once as there is room for.
    ///
    /// # Errors
    /// `Store`; some may be written then.
    pub(super) async fn commit_as_it_fits(&self, rows: Vec<AppRow>) -> Result<(), Error> {
        let at_once = match self.store.is_short() {
            true => ROWS_WHERE_SHORT,
            false => ROWS,
        };
        for some in rows.chunks(at_once) {
            let batch = Batch {
                rows: some.to_vec(),
                ..Batch::default()
            };
            match self.store.commit_batch(batch, Vec::new()).await {
                Err(error) if error.is_full() => {
                    for row in some {
                        self.store.commit_app(row.clone()).await?;
                    }
                }
                other => other?,
            }
        }
        Ok(())
    }
}
