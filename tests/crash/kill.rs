//! Killed in the middle of a rush: what was said stays true, what was begun comes to an end.

use crate::on_both_stores;
use crate::process::{Haat, end_lease, free_address};
use crate::rush::Rush;

on_both_stores! {
    /// Killed three times in a rush and once after it. The rush never sees more of it than connections that are lost.
    async fn what_buyers_were_told_outlives_the_server(store) {
        let address = free_address();
        let mut server = Haat::start(&store, address).await;
        let mut rush = Rush::begin(&server).await;
        for answers in [10, 20, 30] {
            rush.goes_on(answers).await;
            server.kill().await;
            end_lease(&store).await;
            server = Haat::start(&store, address).await;
        }
        let told = rush.end().await;
        server.kill().await;
        // Nobody says for this one that it is dead.
        let server = Haat::start(&store, address).await;
        told.still_holds(&server).await;
    }
}
