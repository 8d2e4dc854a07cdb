"""Makes keys and access tokens with the library PyJWT: argument 1 is a directory, `keys.json` is
written there; each further argument is an address, for which a line with a token is printed."""

import json
import sys
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

directory, names = sys.argv[1], sys.argv[2:]
key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
public = RSAAlgorithm.to_jwk(key.public_key())
public = json.loads(public) if isinstance(public, str) else public
public.update(kid="first", use="sig", alg="RS256")
public.pop("key_ops", None)
with open(f"{directory}/keys.json", "w", encoding="ascii") as out:
    json.dump({"keys": [public]}, out)
now = int(time.time())
for name in names:
    claims = {"iss": "https://id.example", "aud": ["mail"], "exp": now + 3600, "iat": now,
              "email": name, "scope": "openid mail"}
    print(jwt.encode(claims, key, algorithm="RS256", headers={"kid": "first"}))
