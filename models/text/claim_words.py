"""Words for the check of generated text: those that claim nothing, those that say what somebody likes, and how texts are cut into words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass


def word_set(words: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(words.split())


CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
WORD = re.compile(rf"\d+(?:[.,]\d+)+(?![^\W_])|[{CJK}]|(?:(?![{CJK}])[^\W_])+(?:['’](?:(?![{CJK}])[^\W_])+)*")
QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”|«([^»]+)»|《([^》]+)》|「([^」]+)」|‘([^’]+)’(?!\w)|(?<!\w)'([^']+)'(?!\w)|\*+([^*]+)\*+")
SENTENCE_END = re.compile(r"[.!?。！？…:：;；\n]")
CLAUSE_END = re.compile(r"[.!?。！？…:：;；,，、()\n]|\s[-–—]\s")
STOP = word_set(
    """
    a an and are as at be been being but by can could did do does for from had has have he her here hers him his how i if in into is it
    its just may might more most much must my no nor not of off on or our ours out over own she should so some such than that the their
    theirs them then there these they this those to too under until up us very was we were what when where which while who whom whose
    why will with would you your yours i'm i've you're you've you'll you'd it's that's they're they've let's both each every any all few
    many other another again also because since though although after before during between about across along around like unlike near
    per via
    """
)
"""Words of grammar."""
GENERIC = word_set(
    """
    film films movie movies title titles item items product products book books story stories tale tales thing things kind kinds genre
    genres type types sort sorts work works piece pieces picture pictures classic classics hit hits gem gems release releases collection
    choice choices pick picks selection selections list lists recommendation recommendations suggestion suggestions match favourite
    favourites favorite favorites category categories interest interests interested taste tastes mood style styles theme themes subject
    history past activity behaviour views view viewing watching reading buying shopping user users person people someone viewer viewers
    reader readers customer customers fan fans lover lovers audience one ones lot lots bit mix mixture blend range number couple good
    great best better new newer newest old older recent recently lately latest last next similar same different well known popular often
    usually mostly mainly especially particularly clearly really truly always sometimes frequently regularly strong strongly long longer
    short-term long-term first again today now still already currently tonight week month year years time times decade decades day days
    moment period love loves loved like likes liked enjoy enjoys enjoyed enjoying prefer prefers preferred watch watches watched see
    sees saw seen read reads rate rates rated buy buys bought picked choose chose chosen give gives gave given find finds found fit fits
    fitting suit suits matches go goes make makes made come comes came seem seems tend tends keep keeps look looks looking show shows
    shown share shares shared belong belongs follow follows return returns want wants try add added recommend recommended suggest
    suggested explore exploring discover click clicked viewed lean leans turn turned pair pairs offer offers based because also together
    nearby close closely high highly full right natural another something anything everything others rest set spent spend rating ratings
    whole entire several various main certain clear simple easy perfect fine nice fair big small large little early later half second group
    groups sets series season evening evenings weekend weekends night nights morning home ground heart top bottom front end start
    beginning middle part parts place places side line lines way ways point points example examples case reason reasons sign signs hand
    eye eyes mind life world member members everyone anyone nobody somebody stay stays stayed leave leaves left stand stands stood
    fall falls fell bring brings brought lead leads led put puts take takes took taken get gets got gotten hold holds held call calls
    called say says said tell tells told know knows knew think thinks thought feel feels felt believe need needs needed help helps
    starts started begin begins began finish finishes finished ends ended stop play plays played run runs ran open opens opened
    land lands landed appear appears appeared become becomes became mean means meant happen happens happened lets talk talks
    total overall altogether average above below among amid alongside besides beyond within without throughout plus versus ahead behind
    almost nearly quite rather fairly pretty even ever yet soon once perhaps maybe indeed likely probably certainly surely
    definitely simply basically generally largely chiefly primarily equally least less enough only
    clever smart tense slow fast quiet gentle warm light dark deep rich real true bold fresh modern strange odd quirky moving powerful
    beautiful intense gripping solid memorable thoughtful playful charming
    score scores star stars event events purchase purchases visit visits search searches tv dvd
    """
)
"""Words that claim nothing about a catalogue or a person that the check could look up."""
TRIGGERS = word_set(
    """
    interested interest interests fan fans love loves loved enjoy enjoys enjoyed enjoying prefer prefers preferred into taste tastes
    passion keen drawn fond favour favours favor favors favourite favorite favourites favorites about adore adores genre genres theme
    themes mostly mainly especially particularly lover lovers appetite watch watches watched bought buys explore explored exploring
    towards toward between
    """
)
"""What follows these words, up to the end of the clause, is what a person is said to like or to have had."""
FANS = word_set("fan fans lover lovers interest interests taste tastes passion")
"""The word before these says what somebody likes."""
FAVOURITES = TRIGGERS - word_set(
    "into about between towards toward mostly mainly especially particularly watch watches watched bought buys"
)
LIKERS = word_set("you they user users who people viewers also really often clearly still he she i we always do and")
"""After these words, "like" is a verb."""
BOUNDARIES = word_set(
    "is are was were has have had will would should can could may might here "
    "because since so which that who as while when if but though although after before than where you they"
)
"""These words end what a person is said to like."""
DISLIKES = word_set("hate hates hated dislike dislikes disliked avoid avoids avoided nothing")
HAVING = word_set(
    """
    like likes liked love loves loved enjoy enjoys enjoyed enjoying prefer prefers interested interest interests into fan fans care cares
    watch watches watched watching see seen saw read reads buy buys bought rate rated choose chose chosen pick picked finish finished
    thing taste tastes favourite favourites favorite favorites
    """
)
"""After a negation, these words say what a person dislikes or has not had."""
ENDINGS = ("ational", "ically", "ical", "atic", "tic", "ion", "ial", "ed", "ic", "al", "ce", "y", "e", "a")
LEAST_STEM = 4
PRAISE = word_set("fantastic actual actually critical typically typical")
"""Words that look like forms of a category and are not."""


@dataclass(frozen=True)
class Token:
    """A word of a text; folded has neither case nor accents. starts: it begins a sentence."""

    text: str
    folded: str
    start: int
    end: int
    starts: bool
    clause: int
    after_comma: bool
    quoted: bool

    @property
    def is_name(self) -> bool:
        return self.text[:1].isupper()

    @property
    def is_han(self) -> bool:
        return re.match(f"[{CJK}]", self.text) is not None


def tokens_of(text: str) -> Iterator[Token]:
    """The words of a text, in order."""
    quotes = [found.span() for found in QUOTED.finditer(text)]
    end, clause, starts = 0, 0, True
    for found in WORD.finditer(text):
        between = text[end : found.start()]
        clause += bool(CLAUSE_END.search(between))
        starts = starts or bool(SENTENCE_END.search(between))
        quoted = any(first <= found.start() < last for first, last in quotes)
        yield Token(found[0], fold(found[0]), found.start(), found.end(), starts, clause, between.strip() in {",", "，", "、"}, quoted)
        end, starts = found.end(), False


def fold(word: str) -> str:
    """Without case, accents and a possessive ending."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c)).casefold().replace("’", "'")
    return plain.removesuffix("'s") or plain


def words_of(text: str) -> tuple[str, ...]:
    """The folded words of a text."""
    return tuple(fold(found[0]) for found in WORD.finditer(text))


def singular_of(word: str) -> str:
    """The word without the ending of a plural."""
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


def stem_of(word: str) -> str:
    """The word without the ending that a plural or an adjective adds, so that comedies and comedic are comedy."""
    if word in PRAISE or not word.isascii():
        return word
    word = singular_of(word)
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= LEAST_STEM:
            return word[: -len(ending)]
    return word
