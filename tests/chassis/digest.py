"""Digest credentials of RFC 2617 for the harness's own phones."""

import hashlib
import re


def authorization(challenge, user, password, method, uri):
    def field(name):
        found = re.search(rf'{name}="?([^",]+)', challenge)
        return found[1] if found else ""

    def md5(text):
        return hashlib.md5(text.encode()).hexdigest()

    ours, theirs = md5(f"{user}:{field('realm')}:{password}"), md5(f"{method}:{uri}")
    response = md5(f"{ours}:{field('nonce')}:00000001:abc:auth:{theirs}")
    return (f'Digest username="{user}",realm="{field("realm")}",nonce="{field("nonce")}",uri="{uri}",response="{response}",'
            'algorithm=MD5,cnonce="abc",nc=00000001,qop=auth')
