-- The customer's own tables: nothing in here knows of this product, and nothing of this product changes them.
CREATE TABLE public.customers (
  id bigint PRIMARY KEY, tenant text NOT NULL, name text NOT NULL, email text NOT NULL, tax_id text NOT NULL);
CREATE TABLE public.orders (
  id bigint PRIMARY KEY, tenant text NOT NULL, customer_id bigint NOT NULL REFERENCES public.customers (id),
  card_number text NOT NULL, amount_cents bigint NOT NULL, placed_at timestamptz NOT NULL);
CREATE TABLE public.refunds (
  id bigint PRIMARY KEY, tenant text NOT NULL, order_id bigint NOT NULL REFERENCES public.orders (id),
  status text NOT NULL, amount_cents bigint NOT NULL);
CREATE INDEX orders_tenant ON public.orders (tenant);

INSERT INTO public.customers
SELECT n, (ARRAY['acme', 'globex', 'initech'])[n % 3 + 1], 'Customer ' || n, 'customer' || n || '@example.com', 'DE' || (100000000 + n)
  FROM generate_series(1, 300) AS n;
INSERT INTO public.orders
SELECT n, c.tenant, c.id, '411111111111' || lpad((n % 10000)::text, 4, '0'), 500 + (n * 37) % 90000,
       timestamptz '2026-01-01 00:00:00+00' + n * interval '7 minutes'
  FROM generate_series(1, 6000) AS n JOIN public.customers c ON c.id = n % 300 + 1;
INSERT INTO public.refunds
SELECT o.id, o.tenant, o.id, (ARRAY['done', 'stuck', 'pending'])[o.id % 3 + 1], o.amount_cents / 2
  FROM public.orders o WHERE o.id % 20 = 0;
ANALYZE;
