"""Whatever a grantee's credentials hold, libpq reads the URI back as exactly that."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from trustpack.capabilities.operations.model import ConnectionDetails
from trustpack.capabilities.operations.rules.connection_uri import connection_uri

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30)
NAMES = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,30}", fullmatch=True)
ADDRESSES = st.one_of(st.ip_addresses().map(str), st.just("fe80::1%eth0"))
# A comma would name several hosts.
SOCKETS = st.builds(
    "".join,
    st.tuples(st.sampled_from("/@"), st.text(st.characters(exclude_characters="\0,", exclude_categories=["Cs"]), max_size=30)),
)
DETAILS = st.builds(
    ConnectionDetails,
    host=st.one_of(NAMES, ADDRESSES, SOCKETS),
    port=st.integers(1, 65535),
    database=TEXTS,
    sslmode=st.sampled_from([None, "require", "verify-ca", "verify-full"]),
)


@given(details=DETAILS, user=TEXTS, password=TEXTS)
@example(ConnectionDetails("::1", 5432, "a/b?c#d", "verify-full"), "u:s@r", "p@ss/w:rd%41&x=y")
@example(ConnectionDetails("/var/run/postgresql", 5433, "orders"), "ü", "+ +")
def test_libpq_reads_back_what_was_put_in(details, user, password):
    uri = connection_uri(details, user=user, password=password)

    read = conninfo_to_dict(uri)
    expected = {"host": details.host, "port": str(details.port), "dbname": details.database, "user": user, "password": password}
    assert read == expected | ({} if details.sslmode is None else {"sslmode": details.sslmode})
    assert uri.isascii()


def test_usual_addresses_look_as_people_write_them():
    def uri(*details):
        return connection_uri(ConnectionDetails(*details), user="tpk_1", password="secret")

    assert (
        uri("db.example.com", 5432, "orders", "require") == "postgresql://tpk_1:secret@db.example.com:5432/orders?sslmode=require"
    )
    assert uri("2001:db8::1", 5432, "orders") == "postgresql://tpk_1:secret@[2001:db8::1]:5432/orders"
    assert uri("/run/pg", 5432, "orders") == "postgresql://tpk_1:secret@/orders?host=%2Frun%2Fpg&port=5432"
