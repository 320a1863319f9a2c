//! Samples of all that stands in a journal of vendors.

use super::*;

pub fn held_in_sale() -> Vec<HeldLine> {
    let (list_price, rung) = (Some(125_000), Some(10));
    vec![HeldLine { sku: sku(0), quantity: 2, unit_price: 99_000, list_price, rung, sale: Some(sale()) }]
}

pub fn sale() -> SaleId {
    SaleId::from_uuid(uuid(9))
}

/// A sale with everything that it can have, or with nothing that it need not have.
pub fn sale_terms(full: bool) -> SaleTerms {
    let tranches = vec![Tranche { opens_at: at(0), quantity: 200 }, Tranche { opens_at: at(600_000), quantity: 300 }];
    let item = SaleItem {
        sku: sku(0),
        price_minor: 99_000,
        currency: Currency::BDT,
        allotment: 500,
        limit_per_customer: full.then_some(2),
        tranches: if full { tranches } else { Vec::new() },
    };
    SaleTerms {
        name: "11.11".into(),
        starts_at: at(0),
        ends_at: at(900_000),
        time_zone: "Europe/Berlin".into(),
        items: vec![item],
        limit_per_customer: full.then_some(3),
        requires: if full { Requires::Account } else { Requires::Nothing },
        when_exhausted: if full { WhenExhausted::RegularPrice } else { WhenExhausted::Stop },
        payment_methods: if full { vec!["sandbox".into()] } else { Vec::new() },
        room: full.then(super::rooms::room),
    }
}

pub fn sale_change(full: bool) -> SaleChange {
    let money = Money::new(98_000, Currency::BDT);
    let item = ItemChange {
        sku: sku(0),
        removed: !full,
        price: full.then_some(money),
        allotment: full.then_some(600),
        limit_per_customer: full.then_some(NewLimit::Lifted),
        tranches: full.then(Vec::new),
    };
    SaleChange {
        name: full.then(|| "12.12".into()),
        starts_at: full.then(|| at(1)),
        ends_at: full.then(|| at(2)),
        time_zone: full.then(|| "UTC".into()),
        limit_per_customer: full.then_some(NewLimit::To(5)),
        requires: full.then_some(Requires::VerifiedEmail),
        when_exhausted: full.then_some(WhenExhausted::Stop),
        payment_methods: full.then(Vec::new),
        items: vec![item],
    }
}

fn new_sku(number: u128) -> NewSku {
    NewSku {
        id: sku(number),
        code: format!("RED-{number}"),
        price_minor: 125_000,
        currency: Currency::BDT,
        on_hand: 10,
    }
}

fn by_vendor() -> Option<By> {
    By::of(Principal::vendor(vendor()))
}

fn product_change(full: bool) -> ProductChange {
    ProductChange {
        title: full.then(|| "Jamdani sari".into()),
        description: Some(full.then(|| "woven by two".into())),
        category: Some(full.then(|| "sari".into())),
        status: full.then_some(GoodsStatus::Archived),
    }
}

pub fn product(full: bool) -> NewProduct {
    NewProduct {
        id: ProductId::from_uuid(uuid(5)),
        title: "Jamdani".into(),
        description: full.then(|| "woven by hand".into()),
        category: full.then(|| "sari".into()),
        skus: vec![new_sku(0), new_sku(1)],
    }
}

pub fn vendor_events() -> Vec<VendorEvent> {
    let mut all = vec![
        VendorEvent::VendorCreated { name: "Aarong".into() },
        VendorEvent::ProductAdded { product: product(true) },
        VendorEvent::ProductAdded { product: product(false) },
        VendorEvent::VendorRenamed { name: "Aarong Crafts".into(), by: by_vendor() },
        VendorEvent::VendorRenamed { name: "Aarong Crafts".into(), by: None },
        VendorEvent::VendorStatusSet {
            status: VendorStatus::Suspended,
            reason: "no papers".into(),
            by: By::of(Principal::SHOP),
        },
        VendorEvent::VendorStatusSet { status: VendorStatus::Active, reason: "papers came".into(), by: None },
        VendorEvent::ProductChanged {
            product: ProductId::from_uuid(uuid(5)),
            change: Box::new(product_change(true)),
            by: by_vendor(),
        },
        VendorEvent::ProductChanged {
            product: ProductId::from_uuid(uuid(5)),
            change: Box::new(product_change(false)),
            by: None,
        },
        VendorEvent::SkuAdded { product: ProductId::from_uuid(uuid(5)), sku: new_sku(2), by: by_vendor() },
        VendorEvent::SkuAdded { product: ProductId::from_uuid(uuid(5)), sku: new_sku(2), by: None },
        VendorEvent::SkuStatusSet { sku: sku(0), status: GoodsStatus::Archived, by: by_vendor() },
        VendorEvent::SkuStatusSet { sku: sku(0), status: GoodsStatus::Active, by: None },
        VendorEvent::SkuPriceChanged { sku: sku(0), price_minor: 99 },
        VendorEvent::SkuTermsChanged { sku: sku(0), terms: Box::default() },
        VendorEvent::SkuTermsChanged { sku: sku(0), terms: Box::new(sku_terms()) },
        VendorEvent::StockAdjusted { sku: sku(0), delta: -3, reason: "count".into(), by: None },
        VendorEvent::StockAdjusted {
            sku: sku(0),
            delta: -3,
            reason: "count".into(),
            by: By::of(Principal::vendor(vendor())),
        },
        VendorEvent::StockAdjusted { sku: sku(0), delta: 2, reason: "found".into(), by: By::of(Principal::SHOP) },
        VendorEvent::StockHeld {
            order: order(),
            until: at(900_000),
            lines: held(),
            keys: Vec::new(),
            account_keys: 0,
            slot: None,
        },
        VendorEvent::StockHeld {
            order: order(),
            until: at(900_000),
            lines: held_at_a_break(),
            keys: Vec::new(),
            account_keys: 0,
            slot: None,
        },
        VendorEvent::StockHeld {
            order: order(),
            until: at(900_000),
            lines: held_in_sale(),
            keys: vec![BuyerKey([1; 8]), BuyerKey([2; 8])],
            account_keys: 1,
            slot: None,
        },
        VendorEvent::SaleScheduled { sale: sale(), terms: Box::new(sale_terms(true)) },
        VendorEvent::SaleScheduled { sale: sale(), terms: Box::new(sale_terms(false)) },
        VendorEvent::SaleChanged { sale: sale(), terms: Box::new(sale_terms(true)) },
        VendorEvent::SaleCancelled { sale: sale() },
        VendorEvent::StockCommitted { order: order() },
        VendorEvent::StockReleased { order: order(), until: at(900_000), skus: vec![sku(0)] },
        VendorEvent::StockReleased { order: order(), until: at(900_000), skus: Vec::new() },
        VendorEvent::HoldCommitted { order: order(), sold: Vec::new() },
        VendorEvent::HoldCommitted { order: order(), sold: vec![(sku(0), 2), (sku(1), 1)] },
        VendorEvent::HoldsClosed { orders: vec![order()] },
        VendorEvent::Restocked {
            order: order(),
            credit: credit_id(),
            lines: vec![HeldLine::at_list_price(sku(0), 1, 125_000)],
            keys: Vec::new(),
            account_keys: 0,
            slot: None,
        },
        VendorEvent::Restocked {
            order: order(),
            credit: credit_id(),
            lines: vec![HeldLine { sale: Some(sale()), ..HeldLine::at_list_price(sku(0), 1, 125_000) }],
            keys: vec![BuyerKey([1, 2, 3, 4, 5, 6, 7, 8])],
            account_keys: 1,
            slot: None,
        },
        VendorEvent::CreditsClosed { credits: vec![CreditKey(order(), credit_id())] },
    ];
    all.extend(super::slots::vendor_events());
    all
}

pub fn vendor_commands() -> Vec<VendorCommand> {
    let by = Principal::vendor(vendor());
    let lines = vec![WantedLine { sku: sku(0), quantity: 2 }];
    let mut all = vec![
        VendorCommand::Create { name: "Aarong".into() },
        VendorCommand::AddProduct { by, product: product(true) },
        VendorCommand::SetPrice { by, sku: sku(0), price_minor: 99, currency: Currency::BDT },
        VendorCommand::Rename { by, name: "Aarong Crafts".into() },
        VendorCommand::SetStatus { by, status: VendorStatus::Suspended, reason: "no papers".into() },
        VendorCommand::EditProduct {
            by,
            product: ProductId::from_uuid(uuid(5)),
            change: Box::new(product_change(true)),
        },
        VendorCommand::EditProduct {
            by,
            product: ProductId::from_uuid(uuid(5)),
            change: Box::new(product_change(false)),
        },
        VendorCommand::AddSku { by, product: ProductId::from_uuid(uuid(5)), sku: new_sku(2) },
        VendorCommand::GetProduct { by, product: ProductId::from_uuid(uuid(5)) },
        VendorCommand::EditSku { by, sku: sku(0), change: Box::default() },
        VendorCommand::EditSku { by, sku: sku(0), change: Box::new(sku_change(true)) },
        VendorCommand::EditSku { by, sku: sku(0), change: Box::new(sku_change(false)) },
        VendorCommand::AdjustStock { by, sku: sku(0), delta: -3, reason: "count".into() },
        VendorCommand::Get { by },
        VendorCommand::GetSku { by, sku: sku(0) },
        VendorCommand::Reserve {
            order: order(),
            until: at(900_000),
            currency: Currency::BDT,
            lines,
            held_for: Box::default(),
        },
        VendorCommand::ScheduleSale { by, sale: sale(), terms: Box::new(sale_terms(true)) },
        VendorCommand::EditSale { by, sale: sale(), change: Box::new(sale_change(true)) },
        VendorCommand::EditSale { by, sale: sale(), change: Box::new(sale_change(false)) },
        VendorCommand::CancelSale { by, sale: sale() },
        VendorCommand::GetSale { by, sale: sale() },
        VendorCommand::Commit { order: order(), strict: false },
        VendorCommand::Commit { order: order(), strict: true },
        VendorCommand::Close { order: order() },
        VendorCommand::Release { order: order(), until: at(900_000) },
        VendorCommand::Restock {
            units: Box::new(RestockedUnits {
                order: order(),
                credits: vec![(credit_id(), vec![HeldLine::at_list_price(sku(0), 1, 125_000)])],
                keys: vec![BuyerKey([1, 2, 3, 4, 5, 6, 7, 8])],
                account_keys: 1,
                slot: None,
            }),
        },
        VendorCommand::CloseCredits { order: order(), credits: vec![credit_id()] },
        VendorCommand::Tick,
    ];
    all.extend(super::slots::vendor_commands());
    all
}

pub fn vendor_replies() -> Vec<VendorReply> {
    let sku = |suspended: bool, with_terms: bool| SkuView {
        id: sku(0),
        vendor_id: vendor(),
        product_id: ProductId::from_uuid(uuid(5)),
        code: "JAM-RED".into(),
        title: "Jamdani".into(),
        price_minor: 125_000,
        currency: Currency::BDT,
        received: 9,
        on_hand: 7,
        held: 2,
        terms: with_terms.then(|| Arc::new(sku_terms())),
        fences: if suspended { vec![(at(900_000), 3)] } else { Vec::new() },
        archived: suspended,
        suspended,
    };
    let of_sale = |full: bool| SaleView {
        id: sale(),
        vendor_id: vendor(),
        terms: SaleTerms { items: Vec::new(), ..sale_terms(full) },
        cancelled_at: full.then(|| at(1)),
        items: sale_terms(full)
            .items
            .into_iter()
            .map(|item| SaleItemView { item, count: Count { held: 1, sold: 2 } })
            .collect(),
        regular_prices: vec![125_000],
        buyers: full.then_some(3),
    };
    let product = |full: bool| ProductView {
        id: ProductId::from_uuid(uuid(5)),
        vendor_id: vendor(),
        title: "Jamdani".into(),
        description: full.then(|| "Handwoven".into()),
        category: full.then(|| "sarees".into()),
        archived: full,
    };
    let mut all = vec![
        VendorReply::Vendor { vendor: VendorView { id: vendor(), name: "Aarong".into(), suspended: false } },
        VendorReply::Vendor { vendor: VendorView { id: vendor(), name: "Aarong".into(), suspended: true } },
        VendorReply::Sale { sale: Box::new(of_sale(true)) },
        VendorReply::Sale { sale: Box::new(of_sale(false)) },
        VendorReply::Product { product: Box::new(product(true)), skus: vec![sku(false, false)] },
        VendorReply::Product { product: Box::new(product(false)), skus: vec![sku(true, false)] },
        VendorReply::Sku { sku: Box::new(sku(false, false)) },
        VendorReply::Sku { sku: Box::new(sku(false, true)) },
        VendorReply::Done,
    ];
    all.extend(super::slots::vendor_replies());
    all
}

pub fn price_breaks() -> Vec<PriceBreak> {
    vec![
        PriceBreak { min_quantity: 10, price_minor: 120_000, audience: None },
        PriceBreak { min_quantity: 50, price_minor: 100_000, audience: Some(Audience::Wholesale) },
    ]
}

/// With all that terms may say.
pub fn sku_terms() -> SkuTerms {
    SkuTerms {
        price_breaks: price_breaks(),
        break_scope: BreakScope::Product,
        quantities: QuantityRules { min_quantity: Some(2), quantity_step: Some(2), max_quantity: Some(20) },
        wholesale: Some(QuantityRules { min_quantity: Some(50), ..QuantityRules::default() }),
        weight_grams: Some(800),
        tax_category: Some("reduced".into()),
        shipping_class: Some("bulky".into()),
    }
}

/// With all that can be said of a change, or with all that can be taken away by one.
pub fn sku_change(full: bool) -> SkuChange {
    let count = |count| Some(Some(count).filter(|_| full));
    let text = |text: &str| Some(full.then(|| text.to_owned()));
    SkuChange {
        currency: full.then_some(Currency::BDT),
        price_minor: full.then_some(99),
        price_breaks: Some(if full { price_breaks() } else { Vec::new() }),
        break_scope: Some(BreakScope::Product),
        min_quantity: count(2),
        quantity_step: count(2),
        max_quantity: count(20),
        wholesale: Some(full.then(QuantityRules::default)),
        weight_grams: count(0),
        tax_category: text("reduced"),
        shipping_class: text("bulky"),
        status: full.then_some(GoodsStatus::Archived),
    }
}
