//! Stopped as a service manager stops it.

use crate::on_both_stores;
use crate::process::{Haat, free_address};
use crate::rush::Rush;

on_both_stores! {
    /// A stop in the middle of a rush ends in time and well, and leaves nothing to replay.
    async fn a_stop_leaves_nothing_to_replay(store) {
        let address = free_address();
        let mut server = Haat::start(&store, address).await;
        let mut rush = Rush::begin(&server).await;
        for answers in [20, 30] {
            rush.goes_on(answers).await;
            server.signal("TERM").await;
            let status = server.ended().await;
            assert_eq!(status.code(), Some(0), "{}", server.log());
            server.said_no_error();
            let stopped = server.log();
            server = Haat::start(&store, address).await;
            let replayed = server.logged("recovered", "records");
            assert_eq!(replayed, 0, "records are replayed after an orderly stop: {stopped}");
        }
        let told = rush.end().await;
        told.still_holds(&server).await;
    }
}
