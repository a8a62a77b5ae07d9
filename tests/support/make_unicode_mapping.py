#!/usr/bin/env python3
"""Writes unicode.mapping: which ASCII character a character of the Basic Multilingual Plane passes for.

Made from the Unicode Character Database that comes with Python, by these steps in order, for every code point above 127:
  1. its compatibility decomposition without combining marks, if that is one ASCII character (fullwidth forms, accents, superscripts);
  2. the letter that its name begins with ("LATIN SMALL LETTER O WITH STROKE" passes for o);
  3. punctuation that its name says it is a form of (quotation marks, hyphens, slashes, blanks ...).
Applications and databases that fold text to ASCII do about the same, which is what an attack in such characters relies on.

The format is libmodsecurity's: a code page number and name, then CODE:BYTE pairs in hexadecimal.
"""
import re
import sys
import unicodedata

BY_NAME = [
    (r"(LEFT|RIGHT|LOW|HIGH|REVERSED).*SINGLE.*QUOTATION|MODIFIER LETTER (APOSTROPHE|PRIME|VERTICAL LINE|TURNED COMMA)", "'"),
    (r"SINGLE HIGH-REVERSED|^(REVERSED )?PRIME$|ARMENIAN APOSTROPHE|FULLWIDTH APOSTROPHE|HEAVY SINGLE", "'"),
    (r"SINGLE LEFT-POINTING ANGLE QUOTATION|LEFT-POINTING ANGLE BRACKET|^LEFT ANGLE BRACKET|LEFT-POINTING DOUBLE ANGLE", "<"),
    (r"SINGLE RIGHT-POINTING ANGLE QUOTATION|RIGHT-POINTING ANGLE BRACKET|^RIGHT ANGLE BRACKET|RIGHT-POINTING DOUBLE ANGLE", ">"),
    (r"DOUBLE.*QUOTATION|^(REVERSED )?DOUBLE PRIME$|MODIFIER LETTER DOUBLE (PRIME|APOSTROPHE)|DITTO MARK", '"'),
    (r"GRAVE ACCENT|REVERSED PRIME QUOTATION", "`"),
    (r"HYPHEN|\bDASH\b|^MINUS SIGN$|SOFT HYPHEN|^OVERLINE$|HORIZONTAL BAR", "-"),
    (r"FRACTION SLASH|DIVISION SLASH|SOLIDUS$", "/"),
    (r"SET MINUS|REVERSE SOLIDUS", "\\"),
    (r"SPACE$|^(EN|EM) QUAD$|^NO-BREAK SPACE$", " "),
    (r"BROKEN BAR|DIVIDES$|VERTICAL BAR$|DENTAL CLICK", "|"),
    (r"ASTERISK( OPERATOR)?$", "*"),
    (r"TILDE( OPERATOR)?$", "~"),
    (r"^(RATIO|MODIFIER LETTER (COLON|TRIANGULAR COLON))$", ":"),
    (r"FULL STOP$|^ONE DOT LEADER$|^MIDDLE DOT$", "."),
    (r"^SINGLE LOW-9 QUOTATION MARK$|COMMA$", ","),
    (r"SEMICOLON$|^GREEK QUESTION MARK$", ";"),
    (r"LEFT PARENTHESIS$", "("), (r"RIGHT PARENTHESIS$", ")"),
    (r"LEFT (WHITE )?SQUARE BRACKET|LEFT TORTOISE SHELL", "["), (r"RIGHT (WHITE )?SQUARE BRACKET|RIGHT TORTOISE SHELL", "]"),
    (r"EXCLAMATION MARK$|RETROFLEX CLICK$", "!"), (r"NUMBER SIGN$", "#"), (r"PERCENT SIGN$", "%"),
    (r"MODIFIER LETTER (LOW )?CIRCUMFLEX|UP ARROWHEAD$", "^"), (r"LOW LINE$", "_"),
]
LETTER = re.compile(r"^LATIN (SMALL|CAPITAL|LETTER SMALL CAPITAL)( LETTER)? ([A-Z])( WITH .*)?$")


def ascii_of(code: int) -> str | None:
    character = chr(code)
    folded = "".join(c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c))
    if len(folded) == 1 and ord(folded) < 128:
        return folded
    name = unicodedata.name(character, "")
    if letter := LETTER.match(name):
        return letter[3].lower() if letter[1] == "SMALL" else letter[3]
    for pattern, passes_for in BY_NAME:
        if re.search(pattern, name):
            return passes_for
    return None


def main() -> None:
    surrogates = range(0xD800, 0xE000)
    pairs = [f"{code:04x}:{ord(found):02x}" for code in range(0x80, 0x10000)
             if code not in surrogates and (found := ascii_of(code)) is not None]
    out = sys.stdout
    out.write("20127 (US-ASCII)\n" + " ".join(pairs) + "\n\n")


if __name__ == "__main__":
    main()
