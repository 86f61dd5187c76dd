-- Finds the consents that were given to a client, which end with it. Building it locks consents against writing while it reads them once.

create index consents_client_id_idx on consents (issuer, client_id);
