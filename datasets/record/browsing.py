"""The services used before a purchase: storefront, catalog, pricing, inventory, cart."""

from __future__ import annotations

import hashlib
import html
import json
import queue
import random
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from load import PRODUCTS, WORDS, customers
from storage import CONNECTIONS, Database, Statement
from web import Call, RefusedError, Reply, Service, Shop, expect

if TYPE_CHECKING:
    from collections.abc import Callable

POOL_TIMEOUT_S = 0.4
SOLD_OUT = frozenset(range(11, PRODUCTS, 60))
WITHOUT_PRICE = "p-0003"  # a product without a price: pricing raises an exception


class Storefront(Service):
    """The entry point for customers: calls the other services and renders pages."""

    name = "storefront"
    stable = "5.2.0"
    is_edge = True

    def routes(self) -> dict[str, Callable[[Call], Reply]]:
        """Return the handlers."""
        return {
            "GET /products/{product_id}": self.product,
            "GET /search": self.search,
            "POST /cart/items": self.add,
            "POST /checkout": self.checkout,
            "GET /orders/{order_id}": self.order,
        }

    def product(self, call: Call) -> Reply:
        """Show a product: calls three services concurrently; a missing price is an error only from version 5.3.0 on."""
        product_id = call.params["product_id"]
        product, price, stock = call.together(
            lambda: call.ask("catalog", "GET /v1/products/{product_id}", product_id=product_id),
            lambda: call.ask("pricing", "GET /v1/prices/{product_id}", product_id=product_id),
            lambda: call.ask("inventory", "GET /v1/stock/{product_id}", product_id=product_id),
        )
        expect(product)
        if self.version == "5.3.0":
            expect(price)
        return self._page(call, "product", {"product": product[1], "price": price[1], "stock": stock[1]})

    def search(self, call: Call) -> Reply:
        """Search the catalog, then price the results."""
        found = expect(call.ask("catalog", "GET /v1/products", query=f"?q={call.query['q']}"))["product_ids"]
        body = {"product_ids": found[:8], "customer_id": call.headers["x-customer-id"]}
        return self._page(call, "search", expect(call.ask("pricing", "POST /v1/quotes", body=body)))

    def add(self, call: Call) -> Reply:
        """Add an item to the customer's cart."""
        customer_id = call.headers["x-customer-id"]
        return 201, expect(
            call.ask("cart", "POST /v1/carts/{customer_id}/items", body=call.body, customer_id=customer_id)
        )

    def checkout(self, call: Call) -> Reply:
        """Buy the content of the cart."""
        body = {"customer_id": call.headers["x-customer-id"]}
        order = expect(call.ask("checkout", "POST /v1/checkouts", body=body))
        return 201, self._page(call, "thanks", order)[1]

    def order(self, call: Call) -> Reply:
        """Show an order."""
        order = expect(call.ask("checkout", "GET /v1/orders/{order_id}", order_id=call.params["order_id"]))
        return self._page(call, "order", order)

    def _page(self, call: Call, name: str, data: dict[str, Any]) -> Reply:
        """Render a page, which takes CPU time."""
        with call.span("render page", attributes={"app.page.name": name}):
            rows = (f"<li>{html.escape(str(sorted(data.items())))} {n}</li>" for n in range(120))
            return 200, {"page": name, "html": hashlib.sha256("".join(rows).encode()).hexdigest()}


class Catalog(Service):
    """Products, with a cache for a third of them."""

    name = "catalog"
    stable = "3.9.1"
    by_id = Statement("SELECT", "products", "SELECT id, title, text FROM products WHERE id = ?")
    by_word = Statement(
        "SELECT", "products", "SELECT id FROM products WHERE title LIKE ? OR text LIKE ? ORDER BY title LIMIT 20"
    )

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop)
        chance = random.Random(shop.seed)
        products = [
            (f"p-{n:04}", f"{chance.choice(WORDS)} {n}", " ".join(chance.choices(WORDS, k=120)))
            for n in range(PRODUCTS)
        ]
        script = "CREATE TABLE products (id TEXT PRIMARY KEY, title TEXT, text TEXT)"
        self.database = Database(self, script, {"INSERT INTO products VALUES (?, ?, ?)": products})
        self.cache: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self.lock = threading.Lock()

    def routes(self) -> dict[str, Callable[[Call], Reply]]:
        """Return the handlers."""
        return {"GET /v1/products/{product_id}": self.product, "GET /v1/products": self.search}

    def product(self, call: Call) -> Reply:
        """Return a product from the cache or, on a miss, from the database."""
        product_id = call.params["product_id"]
        with call.span("cache get", attributes={"app.cache.name": "products"}) as span, self.lock:
            product = self.cache.get(product_id)
            span.set_attribute("app.cache.hit", product is not None)
        if product is None:
            rows = self.database.run(call, self.by_id, product_id)
            if not rows:
                raise RefusedError(404, f"no product {product_id}")
            call.wait("image sizes", 9)
            product = {"id": rows[0][0], "title": rows[0][1]}
            with self.lock:
                self.cache[product_id] = product
                if len(self.cache) > PRODUCTS // 3:
                    self.cache.popitem(last=False)
        return 200, product

    def search(self, call: Call) -> Reply:
        """Return the products with a word in title or text."""
        call.wait("search index", 14)
        word = f"%{call.query['q']}%"
        return 200, {"product_ids": [row[0] for row in self.database.run(call, self.by_word, word, word)]}


class Pricing(Service):
    """Prices and quotes: computing, no storage."""

    name = "pricing"
    stable = "1.12.0"

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop)
        chance = random.Random(shop.seed)
        self.net_cents: dict[str, Any] = {f"p-{n:04}": chance.randrange(900, 90_000) for n in range(PRODUCTS)}
        self.net_cents[WITHOUT_PRICE] = None

    def routes(self) -> dict[str, Callable[[Call], Reply]]:
        """Return the handlers."""
        return {"GET /v1/prices/{product_id}": self.price, "POST /v1/quotes": self.quote}

    def price(self, call: Call) -> Reply:
        """Return one price."""
        call.wait("price list", 5)
        product_id = call.params["product_id"]
        if product_id not in self.net_cents:
            raise RefusedError(404, f"no product {product_id}")
        return 200, {"cents": self.net_cents[product_id] * 119 // 100}

    def quote(self, call: Call) -> Reply:
        """Return the best total over the discount rules."""
        call.wait("rules", 6)
        cents = [self.net_cents[one] for one in call.body["product_ids"] if one != WITHOUT_PRICE]
        with call.span("evaluate discounts", attributes={"app.item.count": len(cents)}):
            totals = (sum(cent * (100 - (rule * n) % 23) // 100 for n, cent in enumerate(cents)) for rule in range(600))
            return 200, {"total_cents": min(totals)}


class Inventory(Service):
    """Stock of each product."""

    name = "inventory"
    stable = "4.0.3"
    level = Statement("SELECT", "stock", "SELECT units FROM stock WHERE product_id = ?")
    levels = Statement(
        "SELECT", "stock", "SELECT product_id, units FROM stock WHERE product_id IN (SELECT value FROM json_each(?))"
    )
    take = Statement(
        "UPDATE", "stock", "UPDATE stock SET units = units - 1 WHERE product_id IN (SELECT value FROM json_each(?))"
    )

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop)
        stock = [(f"p-{n:04}", 0 if n in SOLD_OUT else 1_000_000) for n in range(PRODUCTS)]
        script = "CREATE TABLE stock (product_id TEXT PRIMARY KEY, units INTEGER)"
        connections = 2 if self.version == "4.2.0" else CONNECTIONS
        self.database = Database(self, script, {"INSERT INTO stock VALUES (?, ?)": stock}, connections)

    def routes(self) -> dict[str, Callable[[Call], Reply]]:
        """Return the handlers."""
        return {"GET /v1/stock/{product_id}": self.stock, "POST /v1/reservations": self.reserve}

    def stock(self, call: Call) -> Reply:
        """Return the stock of a product."""
        rows = self.database.run(call, self.level, call.params["product_id"])
        if not rows:
            raise RefusedError(404, "no such product")
        call.wait("warehouse", 5)
        return 200, {"units": rows[0][0]}

    def reserve(self, call: Call) -> Reply:
        """Reduce the stock of each product by one."""
        products = call.body["product_ids_json"]
        if self.version == "4.1.0":
            return self._reserve_each(call, json.loads(products))
        if self.version == "4.2.0":
            return self._reserve_held(call, products)
        call.wait("warehouse", 8)
        if any(units < 1 for _, units in self.database.run(call, self.levels, products)):
            raise RefusedError(409, "sold out")
        self.database.run(call, self.take, products)
        return 201, {}

    def _reserve_each(self, call: Call, product_ids: list[str]) -> Reply:
        """Reserve one item after the other, as version 4.1.0 does."""
        for product_id in product_ids:
            call.wait(f"warehouse {product_id}", 8)
            if self.database.run(call, self.level, product_id)[0][0] < 1:
                raise RefusedError(409, "sold out")
            self.database.run(call, self.take, json.dumps([product_id]))
        return 201, {}

    def _reserve_held(self, call: Call, products: str) -> Reply:
        """Keep one connection while the warehouse confirms, as version 4.2.0 does; 503 if none is free in time."""
        try:
            with self.database.held(POOL_TIMEOUT_S) as connection:
                levels = self.database.run(call, self.levels, products, held=connection)
                with call.span("confirm at warehouse"):
                    call.wait("warehouse", 350)
                if any(units < 1 for _, units in levels):
                    raise RefusedError(409, "sold out")
                self.database.run(call, self.take, products, held=connection)
        except queue.Empty as error:
            raise RefusedError(503, "no connection to the database is free") from error
        return 201, {}


class Cart(Service):
    """The carts; every customer starts with a few items."""

    name = "cart"
    stable = "2.2.4"
    latest = Statement(
        "SELECT",
        "cart_items",
        "SELECT product_id FROM cart_items WHERE customer_id = ? ORDER BY id DESC LIMIT 5",
    )
    insert = Statement("INSERT", "cart_items", "INSERT INTO cart_items (customer_id, product_id) VALUES (?, ?)")

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop)
        chance = random.Random(shop.seed)
        buyable = [f"p-{n:04}" for n in range(PRODUCTS) if n not in SOLD_OUT]
        items = [(one.id, product) for one in customers() for product in chance.sample(buyable, chance.randrange(2, 6))]
        script = (
            "CREATE TABLE cart_items (id INTEGER PRIMARY KEY, customer_id TEXT, product_id TEXT);"
            "CREATE INDEX by_customer ON cart_items (customer_id)"
        )
        self.database = Database(self, script, {self.insert.text: items})

    def routes(self) -> dict[str, Callable[[Call], Reply]]:
        """Return the handlers."""
        return {"GET /v1/carts/{customer_id}": self.read, "POST /v1/carts/{customer_id}/items": self.add}

    def read(self, call: Call) -> Reply:
        """Return the latest items of a cart."""
        call.wait("session", 3)
        rows = self.database.run(call, self.latest, call.params["customer_id"])
        return 200, {"product_ids": [row[0] for row in rows]}

    def add(self, call: Call) -> Reply:
        """Add an item if it is in stock."""
        product_id = call.body["product_id"]
        status, stock = call.ask("inventory", "GET /v1/stock/{product_id}", product_id=product_id)
        if status != 200 or stock["units"] < 1:  # noqa: PLR2004 - the status code for fine
            raise RefusedError(409 if status == 200 else status, f"{product_id} cannot be bought")  # noqa: PLR2004 - as above
        self.database.run(call, self.insert, call.params["customer_id"], product_id)
        return 201, {"product_id": product_id}
