//! A sale is rehearsed on a copy: one that will hold is told so, one that is known to fail is told to fail, at the right step; the shop's own store stays as
//! it is.

use crate::on_both_stores;
use crate::process::{Haat, free_address, haat, output};
use crate::support::client::checkout_body;
use crate::support::{TestStore, token};
use haat::http::auth::Bearer;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A shop with a sale of 30 pieces at the price of 6.00 each, behind a room.
struct Shop {
    store: TestStore,
    sale: String,
    place: TempDir,
}

impl Shop {
    async fn new(store: TestStore) -> Self {
        let admin = token(&Bearer::Admin("root".into()));
        let mut server = Haat::start(&store, free_address()).await;
        let client = server.client;
        let (vendor, sku) = client.shop(&admin, "10.00", 40).await;
        let room = json!({
            "name": "11.11", "opens_at": "2026-01-01T00:00:00Z", "capacity": 10, "admit_per_minute": 60_000,
            "slot_seconds": 600,
        });
        let room = client.post("/v1/rooms", &room).bearer(&admin).send().await.expect(201).field("id").to_owned();
        let sale = json!({
            "name": "11.11", "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2099-01-01T00:00:00Z",
            "time_zone": "Asia/Dhaka", "room_id": room, "items": [{
                "sku_id": sku, "price": {"amount": "6.00", "currency": "BDT"}, "allotment": 30, "limit_per_customer": 5,
            }],
        });
        let sale = client.post(&format!("/v1/vendors/{vendor}/sales"), &sale).bearer(&admin).send().await.expect(201);
        let sale = sale.field("id").to_owned();
        // Three come in and buy: of whoever comes like them there are three, too.
        for number in 0..3 {
            let buyer = client.buyer(&sku, 1).await;
            let line = format!("/v1/rooms/{room}/tickets");
            let ticket = client.post(&line, &json!({})).bearer(&buyer.token).send().await.expect(201);
            let enter = format!("{line}/{}/enter", ticket.field("ticket"));
            let entry = client.post(&enter, &json!({})).bearer(&buyer.token).send().await.expect(201);
            let mut body = checkout_body("tok_approve");
            body["email"] = json!(format!("buyer{number}@example.com"));
            let asked = client.post(&format!("/v1/carts/{}/checkout", buyer.cart), &body).bearer(&buyer.token);
            let asked = asked.header("haat-entry", entry.field("entry_token")).header("prefer", "wait=20");
            asked.send().await.expect(201);
        }
        server.signal("TERM").await;
        assert!(server.ended().await.success(), "{}", server.log());
        Self { store, sale, place: TempDir::new().expect("a temporary directory") }
    }

    /// The code, and all that is said.
    async fn rehearse(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = haat();
        command.args(["rehearse", "--sale", &self.sale, "--data-dir"]).arg(self.store.data_dir());
        if let Some(url) = self.store.url() {
            command.env("DATABASE_URL", url);
        }
        let output = output({
            command.args(arguments);
            command
        })
        .await;
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        (output.status.code(), text)
    }

    fn path(&self, name: &str) -> String {
        self.place.path().join(name).to_string_lossy().into_owned()
    }

    /// A crowd of its own, from a file.
    fn crowd(&self, name: &str, line: &str, objectives: &str) -> String {
        let path = self.path(name);
        let text = format!(
            "name = \"crowd\"\n[arrival]\nmodel = \"open\"\nstages = [{{ shape = \"spike\", sessions = 20 }}]\n\
             [[steps]]\ndo = \"fill\"\n[[steps]]\ndo = \"wait-in-line\"\n{line}\n[[steps]]\ndo = \"check-out\"\n\
             [[steps]]\ndo = \"poll\"\n[objectives]\n{objectives}\n"
        );
        std::fs::write(&path, text).expect("a file");
        path
    }
}

on_both_stores! {
    async fn a_sale_that_holds_is_told_from_one_that_does_not(store) {
        let shop = Shop::new(store).await;
        let json = shop.path("summary.json");
        // How quick this machine is says nothing here.
        let (code, said) = shop.rehearse(&["--sessions", "50", "--p95", "10m", "--json", &json]).await;
        assert_eq!(code, Some(0), "{said}");
        for words in [
            "'11.11' of Nakshi: 30 pieces of 1 SKU, through a room of 10, 60000 a minute.\n50 people, all at once.",
            "a sale sells at most its allotment: sold 30 of 30: ok",
            "the sale sells to those alone who were let in: 30 orders: ok",
            "of 50 carts, 30 paid",
            "It will hold.",
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
        let summary: Value = serde_json::from_slice(&std::fs::read(&json).expect("a file")).expect("a summary");
        assert_eq!(summary["outcomes"]["paid"], 30, "{said}");

        // As many as came to this one so far, twice: the slots are enough for them.
        let (code, said) = shop.rehearse(&["--like", &shop.sale, "--times", "2", "--p95", "10m"]).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(": 3 orders from ") && said.contains("times 2"), "{said}");

        let slow = shop.crowd("slow.toml", "", "p95 = { checkout = \"1us\" }");
        let (code, said) = shop.rehearse(&["--scenario-file", &slow]).await;
        assert_eq!(code, Some(4), "{said}");
        assert!(said.contains("It will not hold. It breaks at checkout: p95 of checkout"), "{said}");
        // Ten are in for three seconds; who is not called at once has no time to ask again.
        let think = "patience = \"1ms\"\n[[steps]]\ndo = \"rest\"\nthink = \"3s\"";
        let impatient = shop.crowd("impatient.toml", think, "");
        let (code, said) = shop.rehearse(&["--scenario-file", &impatient]).await;
        assert_eq!(code, Some(4), "{said}");
        assert!(said.contains("It breaks at place in line: ") && said.contains("left the line: it took too long"), "{said}");

        let report = haat::app::audit::audit(&shop.store.config(), shop.store.data_dir()).await.expect("an audit");
        assert!(report.is_clean() && report.to_string().contains("3 orders of 3 carts"), "{report}");
    }

    async fn what_cannot_be_rehearsed_is_said_before_anything_is_made(store) {
        let shop = Shop::new(store).await;
        let with_shop = shop.crowd("shop.toml", "", "");
        let text = std::fs::read_to_string(&with_shop).expect("a file");
        std::fs::write(&with_shop, format!("{text}\n[shop]\nstock = 5\n")).expect("a file");
        let unknown = "sale_01h2xcejqtf2nbrexx3vqjhp41";
        for (arguments, words) in [
            (&[][..], "no sale of this vendor has ended"),
            (&["--like", unknown], "the store has no sale_01h2xcejqtf2nbrexx3vqjhp41"),
            (&["--scenario-file", &with_shop], "leave it out"),
            (&["--scenario-file", "/nowhere"], "could not read the scenario /nowhere"),
            (&["--times", "0"], "from 0.001 to 10000"),
            (&["--sessions", "5", "--target", "http://127.0.0.1:1", "--admin-token", "t"], "could not reach"),
            (&["--sessions", "5", "--json", "/nowhere/summary.json"], "/nowhere/summary.json"),
        ] {
            let (code, said) = shop.rehearse(arguments).await;
            assert_eq!(code, Some(2), "{arguments:?}: {said}");
            assert!(said.contains(words), "{arguments:?}: {said}");
        }
    }

    /// At a server that is somebody's shop nothing is made; one on an empty store takes the copy.
    async fn a_copy_is_made_at_an_empty_shop_alone(store) {
        let shop = Shop::new(store).await;
        let admin = token(&Bearer::Admin("root".into()));
        let server = Haat::start(&shop.store, free_address()).await;
        let target = format!("http://{}", server.address);
        let (code, said) = shop.rehearse(&["--sessions", "5", "--target", &target, "--admin-token", &admin]).await;
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("this one has products"), "{said}");
        server.kill().await;

        let empty = TestStore::new(shop.store.kind).await;
        let server = Haat::start(&empty, free_address()).await;
        let target = format!("http://{}", server.address);
        let (code, said) = shop.rehearse(&["--sessions", "35", "--p95", "10m", "--target", &target, "--admin-token", &admin]).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("sold 30 of 30") && said.contains("It will hold."), "{said}");
        server.kill().await;
    }
}
