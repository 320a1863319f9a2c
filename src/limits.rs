//! Every limit, with its name. What an operator may set stands in `config/`, with these as defaults.

/// Lines in one cart.
pub const CART_LINES: usize = 200;
/// Checkouts of one cart: so many numbers there are for them.
pub const CART_CHECKOUTS: u32 = u32::MAX;
/// Carts that are merged into one, each of which it remembers.
pub const CART_MERGES: usize = 20;
/// What admitting one merge sets aside of the budget for records in flight: one that gives, one that takes, one that hears of it.
pub const RECORDS_PER_MERGE: usize = 4;
/// Carts of one customer, one after the other: so many numbers there are for them.
pub const CUSTOMER_CARTS: u32 = u32::MAX;
/// Carts among which a customer's open one is looked for before they are told to ask again. One look finds the last cart
/// closed, the next one its successor; what is more was closed meanwhile.
pub const OPEN_CART_TRIES: usize = 4;
/// Coupons in one cart.
pub const CART_COUPONS: usize = 8;
/// Codes that there are not, tried in one cart, or from one address, before no more is looked up; within
/// [`QUOTA_COUPON_GUESSES_SECONDS`].
pub const QUOTA_COUPON_GUESSES: u32 = 10;
/// See [`QUOTA_COUPON_GUESSES`].
pub const QUOTA_COUPON_GUESSES_SECONDS: u32 = 600;
/// Uses of one coupon.
pub const COUPON_USES: u64 = 1_000_000_000;
/// What a coupon may take off of all orders together, in minor units.
pub const COUPON_BUDGET_MINOR: i64 = 1_000_000_000_000_000;
/// Things that the scope of a coupon names.
pub const COUPON_SCOPE: usize = 200;
/// Codes that are made at a time.
pub const COUPON_CODES_AT_ONCE: u32 = 10_000;
/// Pieces of one SKU in one cart.
pub const LINE_QUANTITY: i64 = 10_000;
/// A unit price, in minor units. With [`CART_LINES`] and [`LINE_QUANTITY`] it keeps every total within 64 bits.
pub const PRICE_MINOR: i64 = 1_000_000_000_000;
/// Price breaks of one SKU.
pub const PRICE_BREAKS: usize = 40;
/// What one piece of a SKU weighs, in grams. With [`CART_LINES`] and [`LINE_QUANTITY`] it keeps every weight within 64 bits.
pub const WEIGHT_GRAMS: i64 = 100_000_000;
/// Pieces of one SKU, on hand or ever received.
pub const SKU_PIECES: i64 = 1_000_000_000_000;
/// SKUs of one product.
pub const PRODUCT_SKUS: usize = 100;
/// SKUs of one vendor.
pub const VENDOR_SKUS: usize = 100_000;
/// Sales of one vendor that are to come or running.
pub const VENDOR_SALES: usize = 1_000;
/// Items of one sale.
pub const SALE_ITEMS: usize = 1_000;
/// Ways of paying that one sale names.
pub const SALE_METHODS: usize = 20;
/// Tranches of one item of a sale.
pub const SALE_TRANCHES: usize = 100;
/// How long it is remembered who bought in a sale that is over, in milliseconds.
pub const SALE_BUYERS_KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// Windows of a vendor's delivery plan: twelve on each day of the week.
pub const DELIVERY_WINDOWS: usize = 84;
/// Days on which a vendor's plan says that it does not deliver.
pub const DELIVERY_CLOSED: usize = 366;
/// For how many days after today a plan may have slots.
pub const DELIVERY_DAYS_AHEAD: u32 = 60;
/// Orders for which one window may have room.
pub const SLOT_CAPACITY: i64 = 1_000_000;
/// How many minutes before its beginning a slot may be closed: fourteen days.
pub const SLOT_CUT_OFF: u32 = 14 * 24 * 60;
/// How long after its end a slot is remembered, in milliseconds, so that an order can give it back.
pub const SLOT_KEPT_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// Characters of a name, a title, a code, a category, one line of an address.
pub const SHORT_TEXT: usize = 200;
/// Characters of a description or a reason.
pub const LONG_TEXT: usize = 4_000;
/// Characters by which a word is known in a search.
pub const WORD_CHARACTERS: usize = 64;
/// Words of one search.
pub const SEARCH_WORDS: usize = 8;
/// Characters from which on the last word of a search finds words that begin with it.
pub const SEARCH_PREFIX: usize = 2;
/// Categories that one word of a search may mean. There are shops with 10,000 of them, and words that stand in all of their names.
pub const SEARCH_CATEGORIES: usize = 200;
/// Searches that the store looks for at once.
pub const SEARCH_CONNECTIONS: u32 = 2;
/// Milliseconds that a search may take, with its wait for one of these.
pub const SEARCH_MS: u64 = 200;
/// The newest products that are looked through for words that begin in one way, before any others are.
pub const SEARCH_NEWEST: u32 = 500;
/// Products that a search gathers by its words alone: where more have them, the newest are looked through until a page is full.
pub const SEARCH_FOUND: u32 = 1_000;
/// Characters of a note about an order that was stuck, and of words about a refund or a return.
pub const NOTE: usize = 1_000;
/// Characters of an idempotency key.
pub const IDEMPOTENCY_KEY: usize = 255;

/// Products that one request adds.
pub const BATCH_ITEMS: usize = 500;
/// How many of them are asked for at once. Those that come into one commit are durable together.
pub const BATCH_AT_ONCE: usize = 64;
/// Bytes of a body that is a whole table.
pub const TABLE_BYTES: usize = 1024 * 1024;
/// How long a quote is good, in milliseconds.
pub const QUOTE_MS: i64 = 15 * 60 * 1000;
/// Rates of tax.
pub const TAX_ROWS: usize = 10_000;
/// Currencies in which points have a value: more than there are.
pub const POINT_VALUES: usize = 200;
/// What one point pays, in minor units.
pub const POINT_VALUE_MINOR: i64 = 1_000_000_000_000;
/// How many days after its delivery a share earns points at the latest.
pub const POINTS_EARNED_AFTER_DAYS: u32 = 365;
/// How many local days points live at most.
pub const POINTS_EXPIRE_DAYS: u32 = 3_650;
/// Tiers of a programme of points.
pub const LOYALTY_TIERS: usize = 20;
/// For how much one must have bought for a tier, in minor units.
pub const TIER_FROM_MINOR: i64 = 1_000_000_000_000_000;
/// By what a tier multiplies what is earned, in basis points: ten times.
pub const TIER_MULTIPLIER_BASIS_POINTS: u32 = 100_000;
/// Methods of shipping of one vendor.
pub const SHIPPING_METHODS: usize = 50;
/// Zones of one method.
pub const SHIPPING_ZONES: usize = 100;
/// Steps of one rate of shipping.
pub const SHIPPING_STEPS: usize = 100;
/// Countries of one zone.
pub const ZONE_COUNTRIES: usize = 300;
/// Beginnings of postcodes of one zone.
pub const ZONE_POSTCODES: usize = 1_000;
/// Days that shipping takes at most.
pub const SHIPPING_DAYS: u32 = 365;
/// Between two looks at what tables were changed elsewhere, in milliseconds.
pub const TABLES_LOOK_MS: u64 = 2_000;

/// Categories of the shop.
pub const CATEGORIES: usize = 10_000;
/// Levels of the tree of categories.
pub const CATEGORY_DEPTH: usize = 8;
/// Changes of categories that wait for each other before further ones are refused.
pub const CATEGORY_CHANGES: usize = 64;
/// Writes of services that wait for the store before further ones are refused.
pub const SERVICE_UNITS: usize = 1_000;
/// Connections of services on Postgres.
pub const SERVICE_CONNECTIONS: u32 = 8;
/// Connections on Postgres that read payment tokens: as many as there are reads of them at a time. No list and no load of an entity takes them.
pub const TOKEN_CONNECTIONS: u32 = 2;
/// How long services keep an answer under its idempotency key, in milliseconds.
pub const KEPT_ANSWER_MS: i64 = 24 * 60 * 60 * 1000;

/// Partitions of a new store; fixed when the store is made.
pub const PARTITIONS: u16 = 16;
/// Spans that wait for the collector of traces before further ones are dropped.
pub const TRACE_SPANS: usize = 8_192;
/// Spans told in one request.
pub const TRACE_BATCH: usize = 512;
/// Jobs whose traces are known until they are done; the oldest are forgotten first.
pub const TRACED_JOBS: usize = 8_192;
/// How long the trace of a job is known from its last try on, in milliseconds: longer than [`JOB_BACKOFF_MS`].
pub const TRACED_JOB_MS: u64 = 60 * 60 * 1000;
/// How long a stop waits for the collector of traces, in milliseconds.
pub const TRACE_FLUSH_MS: u64 = 2_000;
/// Messages waiting in one actor's mailbox before requests to it are shed.
pub const MAILBOX_DEPTH: usize = 10_000;
/// Versions of an entity that operators are shown at a time, and where they do not say which.
pub const VERSIONS_SHOWN: usize = 200;
/// See [`VERSIONS_SHOWN`].
pub const VERSIONS_SHOWN_USUALLY: usize = 50;
/// How long the reading of an entity's life may take, in milliseconds.
pub const LIFE_MS: u64 = 10_000;
/// Effects of one actor that operators are shown.
pub const EFFECTS_SHOWN: usize = 50;
/// Retries of one job that operators are shown.
pub const JOB_RETRIES_SHOWN: usize = 10;
/// Messages waiting in one actor's mailbox from which on operators are shown it.
pub const DEEP_MAILBOX: usize = 16;
/// Requests that watch the overview of a node, or ask for it, at a time.
pub const OVERVIEW_READERS: usize = 64;
/// Streams of live stock at a time on one node.
pub const LIVE_STREAMS: usize = 20_000;
/// So many of them may be of one address, where addresses are counted: a tenth.
pub const LIVE_STREAMS_PER_ADDRESS: usize = LIVE_STREAMS / 10;
/// So many of them may have a connection to themselves, as over HTTP/1.1 each has: half of [`CONNECTIONS`], the rest is for those who buy.
pub const LIVE_CONNECTIONS: usize = CONNECTIONS / 2;
/// Between two looks at a node that somebody watches, in milliseconds.
pub const OVERVIEW_LOOK_MS: u64 = 1_000;
/// For how long operators are told what went wrong, in milliseconds: as long as an alarm stays that says what has happened.
pub const LATELY_MS: u64 = 15 * 60_000;
/// Between two looks at what goes wrong while nobody watches, in milliseconds.
pub const LATELY_LOOK_MS: u64 = 10_000;
/// Records in flight (decided, not yet durable) on one node before new work is shed.
pub const RECORDS_IN_FLIGHT: usize = 50_000;
/// What admitting one checkout sets aside of the budget for records in flight: the records of its whole saga with one vendor.
pub const RECORDS_PER_CHECKOUT: usize = 10;
/// What a checkout sets aside besides for each further vendor: its hold and its sale, and the order's record of each.
pub const RECORDS_PER_FURTHER_VENDOR: usize = 4;
/// The part of the budget for records in flight, one in so many, that no checkout takes: so that carts can be made and filled, and vendors can
/// work, while checkouts use up theirs. Nobody knows whose a new cart will be, so this room is everybody's.
pub const ROOM_BESIDE_CHECKOUTS: usize = 5;
/// Checkouts under way that may want something of one vendor before further ones are refused. Each sets its part of the budget aside, and has at
/// most as many records in the log writer at once; so this is half of the budget, and the rush on one vendor leaves the other half to all others.
pub const CHECKOUTS_PER_VENDOR: usize = RECORDS_IN_FLIGHT / (2 * RECORDS_PER_CHECKOUT) / 2;
/// Answers without a record of their own that wait for their entity's last record to become durable, before further ones are refused: the
/// store may be down for long, and each holds the whole answer.
pub const ANSWERS_WAITING: usize = 20_000;
/// Requests that wait at one cart, order or vendor until it has come so far, before further ones are refused: repeats
/// of one checkout, for the most part. Each record of their entity looks at all of them.
pub const REQUESTS_WAITING_PER_ACTOR: usize = 1_000;
/// Requests that wait so on one node, before further ones are refused: each holds its connection's answer.
pub const REQUESTS_WAITING: usize = 50_000;
/// SKUs and holds that a vendor's online check of its invariants looks at per checkpoint, on average.
pub const CHECKED_PER_CHECKPOINT: usize = 5_000;
/// Records since the checkpoint before new work is shed.
pub const RECORDS_SINCE_CHECKPOINT: u64 = 1_000_000;
/// Bytes of frames since the checkpoint before new work is shed.
pub const BYTES_SINCE_CHECKPOINT: u64 = 512 * 1024 * 1024;
/// Bytes of records in one batch; what is over waits for the next.
pub const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// How long a commit may take before the node says that its store is unavailable and refuses new writes, in milliseconds. The commit itself
/// goes on.
pub const COMMIT_PATIENCE_MS: u64 = 2_000;
/// Actors in memory before the least recently used are passivated.
pub const LIVE_ACTORS: usize = 1_000_000;
/// How long an actor is idle before it may be passivated, in milliseconds: longer than buyers think between two steps. A cart takes some 1.4 KB,
/// and one that has left costs a query when its buyer goes on.
pub const IDLE_MS: u64 = 600_000;
/// Bytes of the details of orders under way that a node keeps at hand. Past it they are read from the store: those of some 60,000 orders.
pub const DETAIL_CACHE_BYTES: usize = 32 * 1024 * 1024;
/// Reads of details of single orders under way at a time, of each sort.
pub const DETAIL_READS_AT_ONCE: usize = TOKEN_CONNECTIONS as usize;
/// Orders whose details one of these reads asks for.
pub const DETAILS_AT_ONCE: usize = 500;
/// How long somebody waits for a turn to read a detail, in milliseconds: as long as for a connection.
pub const DETAIL_PATIENCE_MS: u64 = 2_000;
/// Entities that are read one by one at the same time when they come into memory; the others wait for their turn. The
/// connections that read are fewer: these are so many that none of them is idle.
pub const LOADS_AT_ONCE: usize = 16;
/// Entities on their way into memory before requests for one more are shed: what the store reads within a second or
/// two.
pub const ACTIVATIONS_WAITING: usize = 5_000;
/// Entities whose rows are remade of their snapshots in one transaction, which an append to the embedded store may have to wait for.
pub const REMADE_AT_ONCE: usize = 64;
/// Entities that are due and not in memory are read so many at a time, with one statement: the next when these are in.
pub const WAKES_AT_ONCE: usize = 100;
/// And so many a second at most, so that a hundred thousand that are due at one moment disturb nobody.
pub const WAKES_PER_SECOND: u32 = 500;
/// Entities that were under way when a store was last written to and are in memory again before requests are taken. Further ones come
/// back with all that is due.
pub const UNDER_WAY: u32 = 10_000;
/// What was to be woken so long before the last record, in milliseconds, was under way then: it has been waiting no longer.
pub const UNDER_WAY_BEFORE_MS: i64 = 60_000;
/// And so long after it: a checkpoint says when it was made, not what it holds.
pub const UNDER_WAY_AFTER_MS: i64 = 5_000;
/// Entities that were woken for nothing and wait for a checkpoint to say so in their snapshots.
pub const WAKES_FOR_NOTHING: usize = 100_000;
/// How long an idempotency key is kept, in milliseconds.
pub const IDEMPOTENCY_MS: i64 = 24 * 60 * 60 * 1000;
/// Idempotency keys one vendor keeps; past it the oldest are forgotten.
pub const IDEMPOTENCY_KEYS_PER_VENDOR: usize = 100_000;
/// Idempotency keys one cart, one order or one customer keeps; past it the oldest are forgotten. Few: anyone may make a cart, and an answer is as
/// large as the cart.
pub const IDEMPOTENCY_KEYS_PER_PURCHASE: usize = 64;

/// Bytes of a request body.
pub const BODY_BYTES: usize = 64 * 1024;
/// How long the head of a request may take to arrive, in milliseconds.
pub const HEADER_READ_MS: u64 = 10_000;
/// How long the body of a request may take to arrive, in milliseconds.
pub const BODY_READ_MS: u64 = 30_000;
/// How long a connection may be idle between requests, in milliseconds.
pub const KEEP_ALIVE_MS: u64 = 120_000;
/// How long an answer may take to be handed over to a client, in milliseconds.
pub const ANSWER_MS: u64 = 60_000;
/// Bytes of answers that one connection may have to take. Requests for long ones wait until there is room; what finds
/// none all the same is given up with its stream.
pub const ANSWER_BYTES_PER_CONNECTION: usize = 16 * 1024 * 1024;
/// Bytes of answers that all connections of a port together may have to take, before the connection ends that has most
/// for longest.
pub const ANSWER_BYTES: usize = 256 * 1024 * 1024;
/// Connections open at the same time on one port; past it a new one is closed at once.
pub const CONNECTIONS: usize = 20_000;
/// Files that a server needs beside its connections: those of its store, its listeners, its runtime.
pub const FILES_BESIDE_CONNECTIONS: usize = 128;
/// Files that each thread of actors needs.
pub const FILES_PER_ACTOR_THREAD: usize = 4;
/// The part of the connections, one in so many, that the operators' port has when there are not enough for both.
pub const OPERATORS_PART_OF_CONNECTIONS: usize = 8;
/// Connections that may wait to be accepted, as far as the system allows it.
pub const LISTEN_BACKLOG: u32 = 16_384;
/// How long a request may take, in milliseconds.
pub const REQUEST_MS: u64 = 10_000;
/// How long `Prefer: wait` may ask to wait, in seconds.
pub const PREFER_WAIT_SECONDS: u64 = 30;
/// How long stock is held for an order, in milliseconds.
pub const HOLD_MS: i64 = 15 * 60 * 1000;
/// How long an order may take to be paid, in milliseconds.
pub const PAYMENT_MS: i64 = 10 * 60 * 1000;
/// How long an order waits for an answer of its gateway, a vendor or its cart before it counts as stuck, and someone
/// may resolve it, in
/// milliseconds. Far longer than a call may take: whatever was asked before has come to its end.
pub const STUCK_AFTER_MS: i64 = 10 * 60 * 1000;
/// How long a vendor waits before it asks an order whether it has heard that units of a credit were taken back, in milliseconds.
pub const CREDIT_ASK_MS: i64 = 60 * 1000;
/// Credits of one order: cancels of units and refunds of amounts.
pub const CREDITS_PER_ORDER: usize = 64;
/// Characters of the name of a courier.
pub const COURIER_NAME: usize = 40;
/// Characters of a courier's number of a parcel.
pub const TRACKING_NUMBER: usize = 100;
/// How often one parcel may be corrected.
pub const CORRECTIONS_PER_SHIPMENT: u32 = 10;
/// Parcels of one order, with those that were unpacked again.
pub const SHIPMENTS_PER_ORDER: usize = 64;
/// For how many days after its delivery a buyer may send something back, where nothing else is set. What was recorded without a number means this
/// one, so it never changes.
pub const RETURN_DAYS: u32 = 14;
/// How many orders a buyer may have open that are to be paid at the door, where nothing else is set.
pub const CASH_OPEN_ORDERS: u32 = 3;
/// After how many orders of which everything was refused at the door a buyer may pay there no more, where nothing else is set.
pub const CASH_REFUSALS: u32 = 3;
/// For how long such a refusal counts: 90 days.
pub const CASH_REFUSALS_MS: i64 = 90 * 24 * 3_600_000;
/// Rows of one remittance of a courier.
pub const REMITTANCE_ROWS: usize = 500;
/// Hours in which a vendor begins with what is paid, where nothing else is set.
pub const ACCEPT_WITHIN_HOURS: u32 = 48;
/// Returns of one order.
pub const RETURNS_PER_ORDER: usize = 32;
/// Disputes of one order: a bank disputes a payment once, and seldom a second time.
pub const DISPUTES_PER_ORDER: usize = 16;
/// How often a payment provider is asked which payments have changed, in milliseconds.
pub const PAYMENT_SWEEP_MS: u64 = 60 * 60 * 1000;
/// How much earlier than where the last sweep began one looks, in milliseconds.
pub const PAYMENT_SWEEP_OVERLAP_MS: i64 = 10 * 60 * 1000;
/// Pages of changes that one sweep reads of a provider.
pub const PAYMENT_SWEEP_PAGES: usize = 1_000;
/// Resolutions of one order: each stands in its timeline.
pub const RESOLUTIONS: usize = 32;
/// Entries of an order's timeline that one part of its snapshot holds. The newest, up to one fewer, stand in its head.
pub const TIMELINE_BLOCK: usize = 32;
/// Bytes of the head of an order's snapshot, which is written again with each of its records; without the contact that orders of early
/// versions keep there.
pub const ORDER_HEAD_BYTES: usize = 8 * 1024;
/// How long the end of a settled order's hold waits for another record to be written with, in milliseconds.
pub const HOLD_CLOSE_MS: i64 = 1_000;
/// Holds of settled orders that one record closes.
pub const HOLDS_CLOSED_AT_ONCE: usize = 1_000;
/// Holds past their time that a vendor asks about in one turn. Between two of these turns are 25 ms at least.
pub const HOLDS_ASKED_AT_ONCE: usize = 64;
/// The wait before a vendor asks about a hold for the second time, in milliseconds.
pub const HOLD_ASK_AGAIN_MS: u64 = 1_000;
/// The longest wait between two questions about one hold, in milliseconds. An order whose outcome is known tells its vendors by itself.
pub const HOLD_ASK_BACKOFF_MS: u64 = 60_000;
/// How long one call of a payment gateway may take, in milliseconds.
pub const GATEWAY_CALL_MS: u64 = 5_000;
/// Calls of one payment provider that run at the same time.
pub const GATEWAY_CALLS: usize = 4_096;
/// The shortest time between two look-ups of one order because of notices, in milliseconds.
pub const PAYMENT_HINT_MS: u64 = 1_000;
/// Orders that are looked up because of notices at the same time. The others look by themselves when their time comes.
pub const PAYMENT_HINTS: usize = 65_536;
/// The most bytes of a notice of a payment provider.
pub const NOTICE_BYTES: usize = 256 * 1024;
/// How far the moment at which a notice was signed may be from now, in seconds.
pub const NOTICE_TOLERANCE_S: i64 = 300;
/// How long nothing may be heard of a parcel before its courier is asked, in milliseconds: six hours.
pub const PARCEL_SILENT_MS: i64 = 6 * 3_600 * 1_000;
/// After how long without news a parcel counts as stale, in milliseconds: thirty days.
pub const PARCEL_STALE_MS: i64 = 30 * 24 * 3_600 * 1_000;
/// How long it is until the courier is asked about a stale parcel again, in milliseconds: a day.
pub const PARCEL_STALE_LOOK_MS: i64 = 24 * 3_600 * 1_000;
/// How often is looked for parcels of which nothing was heard, in milliseconds.
pub const PARCEL_SWEEP_MS: u64 = 10 * 60 * 1_000;
/// How often is looked for jobs that are missing, in milliseconds.
pub const MISSING_JOBS_SWEEP_MS: u64 = 60 * 60 * 1_000;
/// Orders that one look for them takes at a time.
pub const MISSING_JOBS_SLICE: usize = 200;
/// Parcels that one look for them takes at a time.
pub const PARCEL_SWEEP_SLICE: usize = 200;
/// What a courier tells of one parcel at most: the rest is left out.
pub const TRACKING_EVENTS: usize = 100;
/// So many of these places are for what a parcel's order hears of.
pub const TRACKING_EVENTS_HEARD: usize = 20;
/// Calls of one payment provider per second.
pub const GATEWAY_CALLS_PER_SECOND: u32 = 10_000;
/// So much of the calls' rate may be saved up and used at once, in milliseconds.
pub const GATEWAY_BURST_MS: u64 = 100;
/// Different orders without an answer, one after the other, from which on a payment provider counts as silent. Orders, not calls: one
/// order whose call is never answered must not stop all others.
pub const GATEWAY_SILENT_ORDERS: usize = 20;
/// Calls that are made in one round to see whether a silent provider answers again: several, since one of them may be of an order that it
/// never answers.
pub const GATEWAY_PROBES: usize = 4;
/// The wait before a silent provider is tried for the first time, in milliseconds.
pub const GATEWAY_PROBE_FROM_MS: u64 = 1_000;
/// The longest wait between two rounds of tries, in milliseconds.
pub const GATEWAY_PROBE_BACKOFF_MS: u64 = 30_000;
/// How long a provider is silent before no more checkouts are let in that would pay by it, in milliseconds: longer than a restart of its
/// service takes, and much shorter than stock is held for a payment.
pub const GATEWAY_SILENCE_MS: u64 = 30_000;
/// After how many seconds whoever would pay by a silent provider is told to ask again.
pub const GATEWAY_SILENCE_RETRY_S: u64 = 10;
/// The longest wait between two tries of an unanswered charge, in milliseconds.
pub const GATEWAY_BACKOFF_MS: u64 = 2_000;
/// The wait before a payment that has no outcome yet is looked up for the first time, in milliseconds.
pub const LOOK_UP_FROM_MS: u64 = 2_000;
/// The longest wait between two look-ups of a payment, in milliseconds.
pub const LOOK_UP_BACKOFF_MS: u64 = 60_000;
/// The longest wait that a token of the sandbox may ask for, in milliseconds.
pub const SANDBOX_SLOW_MS: u64 = 60_000;
/// How often a token of the sandbox may ask to fail.
pub const SANDBOX_FAILURES: u32 = 100;
/// Changes of the sandbox's charge log that wait to be written before further calls fail.
pub const SANDBOX_QUEUE: usize = 65_536;
/// Between two syncs of the sandbox's charge log, in milliseconds: changes that come meanwhile share one.
pub const SANDBOX_REST_MS: u64 = 4;
/// The longest wait between two sends of an unanswered message between entities, in milliseconds.
pub const RESEND_BACKOFF_MS: u64 = 30_000;
/// Items on one page of a list when the caller does not say.
pub const PAGE_DEFAULT: u32 = 50;
/// Items on one page of a list at most.
pub const PAGE_MAX: u32 = 200;
/// The first moment that no clock here shows any more, in milliseconds since 1970: 2200-01-01.
pub const LAST_MOMENT_MS: i64 = 7_258_118_400_000;
/// How long a stop may take until everything is durable and written, in milliseconds.
pub const DRAIN_MS: u64 = 30_000;
/// Between two looks at whether the files of the store and of the charge log are where they were opened, in milliseconds. Each commit looks too.
pub const FILES_LOOK_MS: u64 = 500;
/// How long a node may give answers without a record since it last heard from its store, in milliseconds. A taker of the store waits
/// as long for an owner that did not say goodbye.
pub const LEASE_MS: u64 = 5_000;
/// How long a token may last, in seconds: 31 days.
pub const TOKEN_SECONDS: i64 = 31 * 24 * 60 * 60;
/// By how much the clock of whoever made a token may be ahead, in seconds.
pub const TOKEN_SKEW_SECONDS: i64 = 10;
/// By how much the wall clock may differ from the store's, in milliseconds, before a node ends rather than write a
/// frame; and by how much it may move against the monotonic clock at once before that counts as a jump, which is not
/// followed.
pub const CLOCK_SKEW_MS: i64 = 60_000;
/// Between two looks at the wall clock's corrections, in milliseconds.
pub const CLOCK_LOOK_MS: u64 = 1_000;
/// The earliest moment that a wall clock may show: 2020-01-01T00:00:00Z, in milliseconds since 1970. What is earlier
/// was never set.
pub const CLOCK_EARLIEST_MS: i64 = 1_577_836_800_000;
/// The first moment that neither a wall clock nor a frame may show: 2200-01-01T00:00:00Z, in milliseconds since 1970.
pub const CLOCK_LATEST_MS: i64 = 7_258_118_400_000;

/// Jobs of one target under way at a time.
pub const JOBS_UNDER_WAY: usize = 32;
/// Orders of guests that one verification of an address gives to its account: the newest.
pub const ORDERS_ATTACHED: u32 = 100;
/// Jobs in a second that ask this server's own orders.
pub const ORDER_JOBS_PER_SECOND: u32 = 20;
/// How soon those at the front of a waiting room's line ask again, in seconds.
pub const ROOM_POLL_FROM: u8 = 2;
/// How soon those at its end do, in seconds.
pub const ROOM_POLL_UPTO: u8 = 60;
/// People before somebody for each of whom a second is added: 170,000 who wait ask some 5,000 times a second together.
pub const ROOM_POLL_STEP: u64 = 1_000;
/// How long somebody who missed their turn may come back to the front, in seconds.
pub const ROOM_RETURN_SECONDS: u32 = 300;
/// Numbers of a line that are given out under one record.
pub const ROOM_NUMBERS: u64 = 1_024;
/// People who must have been let in before anybody is told how long it takes.
pub const ROOM_PACE_FROM: u64 = 30;
/// Places that one waiting room remembers.
pub const ROOM_PLACES: usize = 1_000_000;
/// Entries that a request can bring along.
pub const ROOM_ENTRIES: usize = 8;
/// People who can be in at a time.
pub const ROOM_CAPACITY: u32 = 100_000;
/// People who can be called in a minute.
pub const ROOM_PER_MINUTE: u32 = 1_000_000;
/// The longest that somebody may take to come in who is called, in seconds.
pub const ROOM_CLAIM_SECONDS: u32 = 3_600;
/// How long that is where nothing else is said, in seconds.
pub const ROOM_CLAIM_DEFAULT: u32 = 120;
/// The longest that somebody may stay who is in, in seconds.
pub const ROOM_SLOT_SECONDS: u32 = 86_400;
/// Jobs in a second that ask a courier.
pub const COURIER_CALLS_PER_SECOND: u32 = 20;
/// How long a job may take before nobody knows what has come of it, in milliseconds.
pub const JOB_MS: u64 = 120_000;
/// The first wait before a job that failed is tried again, in milliseconds. It doubles up to [`JOB_BACKOFF_MS`].
pub const JOB_RETRY_MS: u64 = 2_000;
/// The longest wait before a job is tried again, in milliseconds.
pub const JOB_BACKOFF_MS: u64 = 900_000;
/// Tries after which a job gives up: about three days.
pub const JOB_TRIES: u32 = 300;
/// Different jobs in a row without an answer after which their target counts as silent.
pub const JOB_SILENT_AFTER: usize = 5;
/// Jobs that are tried to see whether a silent target answers again.
pub const JOB_PROBES: usize = 2;
/// The shortest and the longest wait between two rounds of them, in milliseconds.
pub const JOB_PROBE_MS: (u64, u64) = (1_000, 60_000);
/// How long a job that has ended is remembered, in milliseconds: seven days.
pub const JOB_KEPT_MS: i64 = 7 * 24 * 3_600 * 1_000;
/// How long a stop waits for jobs under way, in milliseconds.
pub const JOBS_DRAIN_MS: u64 = 10_000;
/// Mails per second, unless an operator says otherwise.
pub const MAILS_PER_SECOND: u32 = 100;
/// Mails that the sandbox remembers.
pub const SANDBOX_MAILS: usize = 10_000;

/// How often one bearer may ask something of a class of routes, or an address without a bearer, within so many seconds, unless an operator says
/// otherwise: count and seconds of reads, search, carts, checkout, sign_in, staff and files. An address may be a carrier's, with thousands
/// of buyers behind it.
pub const RATES: [(u32, u32); 7] =
    [(6_000, 60), (1_200, 60), (1_200, 60), (120, 60), (120, 60), (1_200, 60), (120, 60)];
/// So many times as often all bearers of one address together may ask: so many of them do at once what each of them may.
pub const RATE_BEARERS_PER_ADDRESS: u32 = 50;
/// The most that an operator may let somebody ask in one window.
pub const RATE_COUNT: u32 = 1_000_000_000;
/// The longest window, in seconds: a day.
pub const RATE_SECONDS: u32 = 24 * 60 * 60;
/// Of how many addresses and bearers it is known how often they asked. Past it those that have not asked for longest are forgotten.
pub const RATE_KEYS: usize = 400_000;
/// Unpaid orders that one buyer may have at a time: by customer, by e-mail address and by phone number.
pub const QUOTA_UNPAID_ORDERS: usize = 5;
/// Pieces that may be held for one buyer's unpaid orders.
pub const QUOTA_HELD_PIECES: i64 = 50;
/// Checkouts that one buyer may cancel or leave unpaid within [`QUOTA_GIVEN_UP_MS`].
pub const QUOTA_GIVEN_UP: usize = 10;
/// How long such checkouts count, in milliseconds.
pub const QUOTA_GIVEN_UP_MS: i64 = 15 * 60 * 1000;
/// Of how many such checkouts it is known. Past it the oldest are forgotten.
pub const QUOTA_GIVEN_UP_KEPT: usize = 100_000;
/// Unpaid orders that may come from one address: a carrier shares one among thousands.
pub const QUOTA_UNPAID_ORDERS_OF_ADDRESS: usize = 500;
/// After how many seconds whoever has as much as a buyer may have is told to ask again.
pub const QUOTA_RETRY_S: u64 = 60;
/// Carts that guests of one address may make within [`QUOTA_GUEST_CARTS_SECONDS`].
pub const QUOTA_GUEST_CARTS: u32 = 5_000;
/// How long they count, in seconds.
pub const QUOTA_GUEST_CARTS_SECONDS: u32 = 60 * 60;
/// How long a browser may remember which pages of other origins may call, in seconds.
pub const CORS_SECONDS: u64 = 10 * 60;
/// Wrong passwords of one address from one network, within [`ATTEMPTS_MS`], after which no further one is looked at.
pub const ATTEMPTS: usize = 10;
/// Wrong passwords of one address from everywhere, within [`ATTEMPTS_MS`], after which each further try waits.
pub const ATTEMPTS_ANYWHERE: usize = 100;
/// How long wrong passwords count, in milliseconds.
pub const ATTEMPTS_MS: i64 = 15 * 60 * 1000;
/// How long a try waits where many were wrong, in milliseconds.
pub const ATTEMPTS_WAIT_MS: i64 = 1000;
/// How many tries may wait so.
pub const ATTEMPTS_WAITING: usize = 200;
/// Mails to one address that somebody else may ask for, within [`ACCOUNT_MAILS_MS`].
pub const ACCOUNT_MAILS: usize = 3;
/// How long such mails count, in milliseconds.
pub const ACCOUNT_MAILS_MS: i64 = 60 * 60 * 1000;
/// How long the token counts that verifies an address, in milliseconds.
pub const SIGN_UP_MS: i64 = 24 * 60 * 60 * 1000;
/// How long the token counts that sets another password, in milliseconds.
pub const RESET_MS: i64 = 60 * 60 * 1000;
/// How long what a secret has signed may be about after another took its place, in milliseconds: as long as the longest token, and a refresh token
/// that nobody uses.
pub const KEY_RETIRES_MS: i64 = 31 * 24 * 60 * 60 * 1000;
/// Between two looks at the file of the secrets, in milliseconds.
pub const KEYS_LOOK_MS: u64 = 5_000;
/// Addresses that one account keeps.
pub const ADDRESSES: u64 = 20;
/// How long somebody counts as having just given their password, in milliseconds.
pub const JUST_SIGNED_IN_MS: i64 = 10 * 60 * 1000;
/// People, and orders of each, whose details are erased at a time.
pub const ERASURES_AT_ONCE: u32 = 64;
/// How long at least an erasure is looked after, in milliseconds: so long an order may take to stand where it is found.
pub const ERASURE_OPEN_MS: i64 = 24 * 60 * 60 * 1000;
/// Days after which the details of a paid order are erased for whoever wants to be forgotten, unless another number is set.
pub const ERASE_AFTER_DAYS: u32 = 30;
/// How long an invitation counts, in milliseconds.
pub const INVITATION_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// How long a session lasts that is not used, in milliseconds.
pub const SESSION_IDLE_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// How long a session lasts at most, in milliseconds.
pub const SESSION_MS: i64 = 180 * 24 * 60 * 60 * 1000;
/// How long what is over is kept of sessions and sign-ups, in milliseconds.
pub const SESSION_KEPT_MS: i64 = 24 * 60 * 60 * 1000;
/// Sessions of one account at the same time. The oldest ends.
pub const SESSIONS: u64 = 20;
/// Characters that are kept of what a visitor says to use.
pub const USER_AGENT: usize = 200;
/// How long an access token of a session lasts, in seconds.
pub const ACCESS_TOKEN_SECONDS: u64 = 15 * 60;
/// How long it is known in memory that a session was ended, in milliseconds: longer than its access tokens last.
pub const REVOKED_KEPT_MS: i64 = 16 * 60 * 1000;
/// Between two looks at what sessions were ended elsewhere, in milliseconds.
pub const REVOKED_LOOK_MS: u64 = 2000;
/// How long the refresh token before the last one is taken, in seconds, unless it is said otherwise.
pub const REFRESH_GRACE_SECONDS: u64 = 60;
/// How many points can be asked for, or given, at a time.
pub const POINTS: i64 = 1_000_000_000_000;
/// How many of the last lines of what became of a customer's points are kept with them.
pub const POINT_ITEMS: usize = 50;
/// How long points live that expired while they were held for an order, or spent for one that came back.
pub const POINTS_EXTENDED_MS: i64 = 24 * 60 * 60 * 1000;
/// Over how many local days it is counted for how much a customer bought; and for how many a tier is theirs.
pub const TIER_DAYS: i32 = 365;
