#include "plugins/shared/text/stop_words.h"

#include <algorithm>
#include <iterator>

namespace dbsa::text {
namespace {

// Of each language, sorted in byte order. Words stand as the analyser makes them: in lower case and
// form C, without apostrophes.
constexpr std::string_view kArabic[] = {
    "أن",   "أنا",  "أنت",   "أنتم",   "أو",      "أي",   "أين",  "إذا",   "إلى",   "إن",   "الا",
    "التي", "الذي", "الذين", "اللذان", "اللواتي", "انه",  "انها", "او",    "اي",    "بعد",  "بعض",
    "بل",   "بين",  "تحت",   "تكون",   "تلك",     "ثم",   "حتى",  "حول",   "حيث",   "خلال", "دون",
    "ذات",  "ذلك",  "سوف",   "ضد",     "عبر",     "على",  "عليه", "عليها", "عن",    "عند",  "عندما",
    "غير",  "فوق",  "في",    "فيه",    "فيها",    "قبل",  "قد",   "كان",   "كانت",  "كذلك", "كل",
    "كم",   "كما",  "كيف",   "لا",     "لقد",     "لك",   "لكن",  "لم",    "لماذا", "لن",   "له",
    "لها",  "لهم",  "ليس",   "ليست",   "ما",      "ماذا", "متى",  "مع",    "من",    "منذ",  "منه",
    "منها", "نحن",  "نعم",   "هذا",    "هذه",     "هل",   "هم",   "هنا",   "هناك",  "هو",   "هي",
    "و",    "ولا",  "ولم",   "وهو",    "وهي",     "يا",   "يكون",
};
static_assert(std::is_sorted(std::begin(kArabic), std::end(kArabic)));

constexpr std::string_view kCatalan[] = {
    "a",       "abans",    "així",      "això",   "al",        "algun",    "alguna",  "algunes",
    "alguns",  "als",      "amb",       "aquell", "aquella",   "aquelles", "aquells", "aquest",
    "aquesta", "aquestes", "aquests",   "aquí",   "bé",        "cada",     "com",     "contra",
    "d",       "da",       "de",        "del",    "dels",      "des",      "després", "doncs",
    "durant",  "e",        "el",        "ell",    "ella",      "elles",    "ells",    "els",
    "em",      "en",       "encara",    "ens",    "entre",     "era",      "eren",    "es",
    "estan",   "estava",   "està",      "et",     "fa",        "fer",      "fins",    "ha",
    "haver",   "havia",    "he",        "hem",    "hi",        "ho",       "i",       "ja",
    "jo",      "l",        "la",        "les",    "li",        "llavors",  "lo",      "m",
    "ma",      "mateix",   "mateixa",   "me",     "mentre",    "mes",      "meu",     "meus",
    "meva",    "meves",    "molt",      "molta",  "moltes",    "molts",    "més",     "n",
    "ne",      "no",       "nosaltres", "o",      "on",        "per",      "perquè",  "però",
    "poc",     "pot",      "potser",    "qual",   "qualsevol", "quan",     "quant",   "quanta",
    "que",     "qui",      "quin",      "quina",  "quines",    "quins",    "què",     "s",
    "sa",      "se",       "sense",     "ser",    "seu",       "seus",     "seva",    "seves",
    "si",      "sobre",    "som",       "sota",   "sí",        "són",      "t",       "ta",
    "també",   "tan",      "tant",      "te",     "teu",       "teus",     "teva",    "teves",
    "tot",     "tota",     "totes",     "tots",   "tu",        "un",       "una",     "unes",
    "uns",     "us",       "va",        "van",    "vosaltres", "vostra",   "vostre",  "vostres",
    "és",
};
static_assert(std::is_sorted(std::begin(kCatalan), std::end(kCatalan)));

constexpr std::string_view kDanish[] = {
    "ad",    "af",     "aldrig",  "alle",    "alt",     "altid",  "anden",  "andet",   "andre",
    "at",    "blev",   "blive",   "bliver",  "da",      "de",     "dem",    "den",     "denne",
    "der",   "deres",  "det",     "dette",   "dig",     "din",    "dine",   "disse",   "dit",
    "dog",   "du",     "efter",   "eller",   "en",      "end",    "endnu",  "er",      "et",
    "fik",   "for",    "fordi",   "fra",     "få",      "får",    "før",    "gennem",  "gik",
    "gør",   "ham",    "han",     "hans",    "har",     "havde",  "have",   "hende",   "hendes",
    "her",   "hos",    "hun",     "hvad",    "hvem",    "hver",   "hvilke", "hvilken", "hvilket",
    "hvis",  "hvor",   "hvordan", "hvorfor", "hvornår", "i",      "ikke",   "ind",     "ingen",
    "intet", "ja",     "jeg",     "jer",     "jeres",   "jo",     "kan",    "kun",     "kunne",
    "lige",  "man",    "mange",   "med",     "meget",   "mellem", "men",    "mens",    "mig",
    "min",   "mine",   "mit",     "mod",     "må",      "måske",  "ned",    "nej",     "nogen",
    "noget", "nogle",  "nok",     "nu",      "når",     "og",     "også",   "om",      "op",
    "os",    "over",   "på",      "se",      "selv",    "sig",    "sin",    "sine",    "sit",
    "skal",  "skulle", "som",     "så",      "sådan",   "til",    "ud",     "uden",    "under",
    "var",   "ved",    "vi",      "vil",     "ville",   "vor",    "vore",   "vores",   "være",
    "været",
};
static_assert(std::is_sorted(std::begin(kDanish), std::end(kDanish)));

constexpr std::string_view kDutch[] = {
    "aan",     "al",      "alle",   "alleen", "als",  "altijd", "andere", "ben",    "bij",
    "binnen",  "daar",    "dan",    "dat",    "de",   "deze",   "die",    "dit",    "doch",
    "doen",    "door",    "dus",    "een",    "eens", "en",     "er",     "ge",     "geen",
    "geweest", "haar",    "had",    "hadden", "heb",  "hebben", "hebt",   "heeft",  "hem",
    "hen",     "het",     "hier",   "hij",    "hoe",  "hoewel", "hun",    "iemand", "iets",
    "ik",      "in",      "is",     "ja",     "je",   "jij",    "jou",    "jouw",   "jullie",
    "kan",     "kon",     "konden", "kunnen", "kunt", "maar",   "mag",    "me",     "mee",
    "meer",    "men",     "met",    "mij",    "mijn", "mocht",  "moet",   "moeten", "na",
    "naar",    "niet",    "niets",  "nog",    "nu",   "of",     "om",     "omdat",  "onder",
    "ons",     "onze",    "ook",    "op",     "over", "reeds",  "te",     "tegen",  "toch",
    "toen",    "tot",     "u",      "uit",    "uw",   "van",    "veel",   "voor",   "waar",
    "waarom",  "wanneer", "waren",  "was",    "wat",  "we",     "wel",    "werd",   "wie",
    "wij",     "wil",     "wilde",  "willen", "word", "worden", "wordt",  "zal",    "ze",
    "zelf",    "zich",    "zij",    "zijn",   "zo",   "zonder", "zou",    "zouden", "zullen",
};
static_assert(std::is_sorted(std::begin(kDutch), std::end(kDutch)));

constexpr std::string_view kEnglish[] = {
    "a",       "about",   "above",   "after",    "again",      "against", "all",    "am",
    "an",      "and",     "any",     "are",      "arent",      "as",      "at",     "be",
    "because", "been",    "before",  "being",    "below",      "between", "both",   "but",
    "by",      "can",     "cant",    "could",    "couldnt",    "did",     "didnt",  "do",
    "does",    "doesnt",  "doing",   "dont",     "down",       "during",  "each",   "few",
    "for",     "from",    "further", "had",      "hadnt",      "has",     "hasnt",  "have",
    "havent",  "having",  "he",      "hed",      "her",        "here",    "hers",   "herself",
    "hes",     "him",     "himself", "his",      "how",        "i",       "id",     "if",
    "im",      "in",      "into",    "is",       "isnt",       "it",      "its",    "itself",
    "ive",     "just",    "me",      "more",     "most",       "my",      "myself", "no",
    "nor",     "not",     "now",     "of",       "off",        "on",      "once",   "only",
    "or",      "other",   "our",     "ours",     "ourselves",  "out",     "over",   "own",
    "same",    "she",     "shes",    "should",   "shouldnt",   "so",      "some",   "such",
    "than",    "that",    "thats",   "the",      "their",      "theirs",  "them",   "themselves",
    "then",    "there",   "theres",  "these",    "they",       "theyre",  "theyve", "this",
    "those",   "through", "to",      "too",      "under",      "until",   "up",     "very",
    "was",     "wasnt",   "we",      "were",     "werent",     "weve",    "what",   "whats",
    "when",    "where",   "which",   "while",    "who",        "whom",    "whose",  "why",
    "will",    "with",    "wont",    "would",    "wouldnt",    "you",     "youd",   "youll",
    "your",    "youre",   "yours",   "yourself", "yourselves", "youve",
};
static_assert(std::is_sorted(std::begin(kEnglish), std::end(kEnglish)));

constexpr std::string_view kFinnish[] = {
    "ei",      "eikä",    "eivät",   "emme",    "en",      "et",      "ette",   "että",
    "he",      "heidän",  "heidät",  "heille",  "heiltä",  "heitä",   "hän",    "häneen",
    "hänelle", "häneltä", "hänen",   "hänessä", "hänestä", "hänet",   "häntä",  "ja",
    "jo",      "johon",   "joiden",  "joihin",  "joita",   "joka",    "jokin",  "joko",
    "jolla",   "jolle",   "jolta",   "jona",    "jonka",   "jos",     "joskus", "jossa",
    "josta",   "jota",    "jotain",  "jotka",   "jotta",   "kanssa",  "keiden", "keitä",
    "kenelle", "kenen",   "ketkä",   "ketä",    "koska",   "kuin",    "kuinka", "kuka",
    "kun",     "kyllä",   "lisäksi", "me",      "meidän",  "meidät",  "meille", "meiltä",
    "meitä",   "mihin",   "miksi",   "mikä",    "mille",   "millä",   "miltä",  "minkä",
    "minua",   "minulla", "minulle", "minulta", "minun",   "minut",   "minä",   "missä",
    "mistä",   "miten",   "mitkä",   "mitä",    "mm",      "mukaan",  "mutta",  "myös",
    "ne",      "niiden",  "niille",  "niin",    "niistä",  "niitä",   "no",     "noin",
    "nuo",     "nyt",     "näiden",  "näissä",  "näitä",   "nämä",    "ole",    "olemme",
    "olen",    "olet",    "olette",  "oli",     "olimme",  "olin",    "olisi",  "olisivat",
    "olit",    "olitte",  "olivat",  "olla",    "olleet",  "ollut",   "on",     "ovat",
    "poikki",  "se",      "sekä",    "sen",     "siellä",  "siihen",  "siinä",  "siitä",
    "sille",   "sillä",   "siltä",   "sinua",   "sinulla", "sinulle", "sinun",  "sinut",
    "sinä",    "sitten",  "sitä",    "tai",     "te",      "teidän",  "teidät", "teille",
    "teitä",   "tuo",     "tuohon",  "tuolla",  "tuon",    "tuossa",  "tuota",  "tähän",
    "tämä",    "tämän",   "tässä",   "tästä",   "tätä",    "vaan",    "vai",    "vaikka",
    "vain",    "voi",
};
static_assert(std::is_sorted(std::begin(kFinnish), std::end(kFinnish)));

constexpr std::string_view kFrench[] = {
    "afin",   "ai",     "aie",   "aient",  "ait",     "alors",   "après",   "as",    "au",
    "aucun",  "aucune", "aussi", "autre",  "autres",  "aux",     "avaient", "avais", "avait",
    "avant",  "avec",   "avez",  "aviez",  "avions",  "avoir",   "avons",   "ayant", "beaucoup",
    "c",      "car",    "ce",    "ceci",   "cela",    "celle",   "celles",  "celui", "ces",
    "cet",    "cette",  "ceux",  "chaque", "chez",    "comme",   "comment", "d",     "dans",
    "de",     "depuis", "des",   "donc",   "dont",    "du",      "elle",    "elles", "en",
    "encore", "entre",  "es",    "est",    "et",      "eu",      "eux",     "fait",  "font",
    "fut",    "il",     "ils",   "j",      "jamais",  "je",      "jusqu",   "l",     "la",
    "le",     "lequel", "les",   "leur",   "leurs",   "lui",     "là",      "m",     "ma",
    "mais",   "me",     "mes",   "moi",    "moins",   "mon",     "même",    "n",     "ne",
    "ni",     "non",    "nos",   "notre",  "nous",    "on",      "ont",     "ou",    "où",
    "par",    "parce",  "pas",   "peu",    "peut",    "peuvent", "plus",    "pour",  "pourquoi",
    "qu",     "quand",  "que",   "quel",   "quelle",  "quelles", "quels",   "qui",   "quoi",
    "s",      "sa",     "sans",  "se",     "sera",    "seront",  "ses",     "si",    "sien",
    "soi",    "soient", "sois",  "soit",   "sommes",  "son",     "sont",    "sous",  "suis",
    "sur",    "t",      "ta",    "te",     "tes",     "toi",     "ton",     "tous",  "tout",
    "toute",  "toutes", "très",  "tu",     "un",      "une",     "vers",    "vos",   "votre",
    "vous",   "y",      "à",     "ça",     "étaient", "étais",   "était",   "étant", "été",
    "être",
};
static_assert(std::is_sorted(std::begin(kFrench), std::end(kFrench)));

constexpr std::string_view kGerman[] = {
    "aber",    "alle",    "allem",   "allen",   "aller",   "alles",   "als",     "also",
    "am",      "an",      "andere",  "anderem", "anderen", "anderer", "anderes", "auch",
    "auf",     "aus",     "bei",     "beim",    "bin",     "bis",     "bist",    "da",
    "damit",   "dann",    "das",     "dass",    "daß",     "dein",    "deine",   "deinem",
    "deinen",  "deiner",  "deines",  "dem",     "den",     "denn",    "der",     "des",
    "dessen",  "dich",    "die",     "dies",    "diese",   "diesem",  "diesen",  "dieser",
    "dieses",  "dir",     "doch",    "dort",    "du",      "durch",   "ein",     "eine",
    "einem",   "einen",   "einer",   "eines",   "er",      "es",      "etwas",   "euch",
    "euer",    "eure",    "eurem",   "euren",   "eurer",   "für",     "gegen",   "gewesen",
    "hab",     "habe",    "haben",   "hast",    "hat",     "hatte",   "hatten",  "hier",
    "hin",     "hinter",  "ich",     "ihm",     "ihn",     "ihnen",   "ihr",     "ihre",
    "ihrem",   "ihren",   "ihrer",   "ihres",   "im",      "in",      "indem",   "ins",
    "ist",     "jede",    "jedem",   "jeden",   "jeder",   "jedes",   "jene",    "jenem",
    "jenen",   "jener",   "jenes",   "jetzt",   "kann",    "kannst",  "kein",    "keine",
    "keinem",  "keinen",  "keiner",  "können",  "könnte",  "machen",  "man",     "manche",
    "manchem", "manchen", "mancher", "mein",    "meine",   "meinem",  "meinen",  "meiner",
    "meines",  "mich",    "mir",     "mit",     "muss",    "muß",     "müssen",  "nach",
    "nicht",   "nichts",  "noch",    "nun",     "nur",     "ob",      "oder",    "ohne",
    "sehr",    "sein",    "seine",   "seinem",  "seinen",  "seiner",  "seines",  "seit",
    "sich",    "sie",     "sind",    "so",      "solche",  "solchem", "solchen", "solcher",
    "soll",    "sollen",  "sollte",  "sondern", "sonst",   "um",      "und",     "uns",
    "unser",   "unsere",  "unserem", "unseren", "unserer", "unter",   "viel",    "vom",
    "von",     "vor",     "war",     "waren",   "warst",   "warum",   "was",     "weg",
    "weil",    "weiter",  "welche",  "welchem", "welchen", "welcher", "welches", "wenn",
    "wer",     "werde",   "werden",  "werdet",  "weshalb", "wie",     "wieder",  "wieso",
    "will",    "wir",     "wird",    "wirst",   "wo",      "wollen",  "wollte",  "wurde",
    "wurden",  "würde",   "würden",  "zu",      "zum",     "zur",     "zwar",    "zwischen",
    "über",
};
static_assert(std::is_sorted(std::begin(kGerman), std::end(kGerman)));

constexpr std::string_view kGreek[] = {
    "έτσι",   "έχει",  "έχεις",  "έχετε",  "έχουμε",  "έχουν",   "έχω",    "ή",        "ήδη",
    "ήμουν",  "ήσουν", "ήταν",   "αλλά",   "αν",      "αντί",    "από",    "αργότερα", "αυτά",
    "αυτές",  "αυτή",  "αυτής",  "αυτοί",  "αυτού",   "αυτούς",  "αυτό",   "αυτός",    "αυτών",
    "για",    "δε",    "δεν",    "εάν",    "είμαι",   "είμαστε", "είναι",  "είσαι",    "είστε",
    "εγώ",    "εκεί",  "εκείνη", "εκείνο", "εκείνος", "εμάς",    "εμείς",  "ενώ",      "επί",
    "επειδή", "εσείς", "εσύ",    "η",      "θα",      "κάθε",    "κάποια", "κάποιο",   "κάποιος",
    "κάτι",   "και",   "κατά",   "κι",     "μέσα",    "μέχρι",   "μία",    "μα",       "μας",
    "με",     "μετά",  "μη",     "μην",    "μια",     "μου",     "να",     "ναι",      "ο",
    "οι",     "ου",    "πάνω",   "παρά",   "πια",     "πιο",     "ποια",   "ποιο",     "ποιος",
    "που",    "πού",   "πρέπει", "πριν",   "προς",    "πως",     "πόσο",   "πότε",     "πώς",
    "σαν",    "σας",   "σε",     "στα",    "στη",     "στην",    "στης",   "στις",     "στο",
    "στον",   "στους", "στων",   "συ",     "τα",      "τη",      "την",    "της",      "τι",
    "τις",    "το",    "τον",    "του",    "τους",    "των",     "τόσο",   "τότε",     "τώρα",
    "ως",     "ό",     "όμως",   "όπου",   "όπως",    "όσο",     "όταν",   "ότι",
};
static_assert(std::is_sorted(std::begin(kGreek), std::end(kGreek)));

constexpr std::string_view kHindi[] = {
    "अंदर",   "अगर",   "अत",   "अपना", "अपनी", "अपने",  "अब",   "आदि",   "आप",    "इत",   "इन",
    "इनका",  "इनके",   "इन्हें",  "इस",   "इसका", "इसकी", "इसके",  "इसमें",   "इसलिए", "इसी",  "इसे",
    "उन",    "उनका",  "उनकी", "उनके",  "उन्हें",  "उस",   "उसका", "उसकी",  "उसके",   "उसी",  "उसे",
    "एक",    "और",    "कई",   "कब",   "कर",   "करता", "करते",  "करना",  "करने",   "कहाँ",  "का",
    "कितना", "किया",  "किस",  "किसी", "किसे",  "की",   "कुछ",   "के",     "कैसे",    "को",   "कोई",
    "कौन",   "क्या",   "क्यों",  "गई",   "गए",   "गया",  "जब",   "जहाँ",   "जा",    "जिस",  "जिसे",
    "जैसे",    "जो",    "तक",   "तब",   "तरह",  "तुम",   "तो",   "था",    "थी",    "थे",    "दिया",
    "दो",    "द्वारा", "न",    "नहीं",  "ना",   "ने",    "पर",   "फिर",   "बहुत",   "बाद",  "भी",
    "मत",    "मुझे",    "में",    "मेरा",  "मेरी",  "मेरे",   "मैं",    "यदि",   "यह",    "यहाँ",  "या",
    "ये",     "रहा",   "रही",  "रहे",   "लिए",  "लेकिन", "व",    "वह",    "वहाँ",   "वे",    "वो",
    "सकता",  "सकते",   "सब",   "सभी",  "साथ",  "से",    "हम",   "हमारा", "हमारी", "हमारे", "ही",
    "हुआ",    "हुई",    "हुए",   "हूँ",    "है",    "हैं",    "हो",   "होता",  "होती",  "होते",  "होना",
    "होने",
};
static_assert(std::is_sorted(std::begin(kHindi), std::end(kHindi)));

constexpr std::string_view kHungarian[] = {
    "a",       "abban",   "ahhoz",        "ahogy",    "ahol",
    "aki",     "akik",    "akkor",        "alatt",    "amely",
    "amelyek", "amelyet", "ami",          "amikor",   "amit",
    "amíg",    "annak",   "arra",         "arról",    "az",
    "azok",    "azon",    "azonban",      "azt",      "aztán",
    "azután",  "azért",   "be",           "belül",    "benne",
    "bár",     "cikk",    "csak",         "de",       "e",
    "ebben",   "eddig",   "egy",          "egyes",    "egyik",
    "egyéb",   "együtt",  "el",           "ellen",    "elég",
    "elő",     "először", "előtt",        "ennek",    "erre",
    "ez",      "ezek",    "ezen",         "ezt",      "ezzel",
    "ezért",   "fel",     "felé",         "ha",       "hanem",
    "hiszen",  "hogy",    "hogyan",       "hol",      "honnan",
    "hova",    "ide",     "igen",         "ill",      "illetve",
    "ilyen",   "is",      "ismét",        "itt",      "jó",
    "kell",    "kellett", "keresztül",    "ki",       "kik",
    "kit",     "kívül",   "köszönhetően", "között",   "közül",
    "le",      "legyen",  "lehet",        "lehetett", "lenne",
    "lenni",   "lesz",    "lett",         "ma",       "maga",
    "magát",   "majd",    "meg",          "mellett",  "mely",
    "melyek",  "mert",    "mi",           "miatt",    "mik",
    "mikor",   "milyen",  "minden",       "mint",     "mintha",
    "mit",     "mivel",   "miért",        "most",     "már",
    "más",     "mégis",   "míg",          "módon",    "na",
    "nagyon",  "ne",      "nekem",        "neki",     "nem",
    "nincs",   "olyan",   "ott",          "pedig",    "persze",
    "rá",      "s",       "saját",        "sem",      "semmi",
    "sok",     "sokkal",  "szemben",      "szerint",  "szinte",
    "számára", "talán",   "te",           "tehát",    "teljes",
    "tovább",  "továbbá", "több",         "ugyanis",  "után",
    "utána",   "vagy",    "vagyok",       "van",      "vannak",
    "vele",    "vissza",  "viszont",      "volna",    "volt",
    "voltak",  "voltam",  "voltunk",      "által",    "általában",
    "át",      "én",      "így",          "össze",    "úgy",
    "új",      "ő",       "ők",           "őket",
};
static_assert(std::is_sorted(std::begin(kHungarian), std::end(kHungarian)));

constexpr std::string_view kIndonesian[] = {
    "ada",       "adalah",       "adapun",  "agar",     "akan",     "aku",       "anda",
    "antara",    "apa",          "apabila", "apakah",   "atas",     "atau",      "bagai",
    "bagaimana", "bagaimanapun", "bagi",    "bahkan",   "bahwa",    "banyak",    "beberapa",
    "begitu",    "belum",        "berapa",  "bila",     "bisa",     "boleh",     "bukan",
    "bukankah",  "dalam",        "dan",     "dapat",    "dari",     "daripada",  "demi",
    "demikian",  "dengan",       "di",      "dia",      "dimana",   "dimanakah", "dulu",
    "hal",       "hanya",        "harus",   "hingga",   "ia",       "ialah",     "ini",
    "itu",       "jadi",         "jangan",  "jika",     "jikalau",  "juga",      "kalau",
    "kami",      "kamu",         "kapan",   "karena",   "kau",      "ke",        "kecuali",
    "kemudian",  "kenapa",       "kepada",  "ketika",   "kita",     "kok",       "lagi",
    "lain",      "lalu",         "lebih",   "maka",     "mana",     "masih",     "mau",
    "melainkan", "mengapa",      "mereka",  "meski",    "meskipun", "mungkin",   "namun",
    "nya",       "oleh",         "pada",    "paling",   "para",     "per",       "pernah",
    "pula",      "pun",          "saat",    "saja",     "sama",     "sambil",    "sampai",
    "sangat",    "saya",         "se",      "sebab",    "sebagai",  "sebelum",   "sebuah",
    "sedang",    "sedangkan",    "segala",  "sehingga", "sejak",    "selain",    "selalu",
    "selama",    "semua",        "seorang", "seperti",  "sering",   "serta",     "sesuatu",
    "setelah",   "setiap",       "siapa",   "siapakah", "suatu",    "sudah",     "supaya",
    "tanpa",     "tapi",         "telah",   "tentang",  "terhadap", "tersebut",  "tetapi",
    "tiap",      "tidak",        "untuk",   "walau",    "walaupun", "yaitu",     "yakni",
    "yang",
};
static_assert(std::is_sorted(std::begin(kIndonesian), std::end(kIndonesian)));

constexpr std::string_view kItalian[] = {
    "a",        "abbia",    "abbiamo", "abbiano", "ad",     "agli",    "ai",      "al",
    "alcuni",   "alcuno",   "all",     "alla",    "alle",   "allo",    "altra",   "altre",
    "altri",    "altro",    "anche",   "ancora",  "avere",  "avete",   "aveva",   "avevano",
    "avevo",    "c",        "che",     "chi",     "ci",     "ciò",     "coi",     "col",
    "come",     "con",      "contro",  "cosa",    "cui",    "d",       "da",      "dagli",
    "dai",      "dal",      "dall",    "dalla",   "dalle",  "dallo",   "degli",   "dei",
    "del",      "dell",     "della",   "delle",   "dello",  "dentro",  "di",      "dopo",
    "dove",     "due",      "e",       "ed",      "era",    "erano",   "eri",     "ero",
    "essere",   "fa",       "fare",    "fino",    "fra",    "fu",      "gli",     "ha",
    "hai",      "hanno",    "ho",      "i",       "il",     "in",      "infatti", "invece",
    "io",       "l",        "la",      "le",      "lei",    "li",      "lo",      "loro",
    "lui",      "ma",       "me",      "mentre",  "mi",     "mia",     "mie",     "miei",
    "mio",      "molto",    "ne",      "negli",   "nei",    "nel",     "nell",    "nella",
    "nelle",    "nello",    "nessuno", "niente",  "noi",    "non",     "nostra",  "nostre",
    "nostri",   "nostro",   "né",      "o",       "ogni",   "oppure",  "per",     "perché",
    "però",     "più",      "po",      "poi",     "prima",  "proprio", "può",     "qual",
    "qualcosa", "qualcuno", "quale",   "quali",   "quando", "quanto",  "quasi",   "quella",
    "quelle",   "quelli",   "quello",  "questa",  "queste", "questi",  "questo",  "qui",
    "saranno",  "sarà",     "se",      "sei",     "sempre", "senza",   "si",      "sia",
    "siamo",    "siano",    "siete",   "solo",    "sono",   "sopra",   "sotto",   "sta",
    "stata",    "state",    "stati",   "stato",   "stesso", "su",      "sua",     "sue",
    "sugli",    "sui",      "sul",     "sull",    "sulla",  "sulle",   "sullo",   "suo",
    "suoi",     "tra",      "tu",      "tua",     "tue",    "tuo",     "tuoi",    "tutta",
    "tutte",    "tutti",    "tutto",   "un",      "una",    "uno",     "v",       "vi",
    "voi",      "vostra",   "vostre",  "vostri",  "vostro", "è",
};
static_assert(std::is_sorted(std::begin(kItalian), std::end(kItalian)));

constexpr std::string_view kNorwegian[] = {
    "alle",  "alt",   "andre",  "at",      "av",      "bare", "begge",  "ble",     "bli",
    "blir",  "blitt", "både",   "da",      "de",      "deg",  "dem",    "den",     "denne",
    "der",   "dere",  "deres",  "det",     "dette",   "di",   "din",    "dine",    "disse",
    "dit",   "ditt",  "du",     "eller",   "en",      "enn",  "er",     "et",      "ett",
    "etter", "for",   "fordi",  "fra",     "få",      "før",  "ha",     "hadde",   "han",
    "hans",  "har",   "hei",    "henne",   "hennes",  "her",  "hos",    "hun",     "hva",
    "hvem",  "hver",  "hvilke", "hvilken", "hvilket", "hvis", "hvor",   "hvordan", "hvorfor",
    "i",     "ikke",  "ingen",  "inn",     "inni",    "ja",   "jeg",    "kan",     "kom",
    "kun",   "kunne", "man",    "mange",   "med",     "meg",  "mellom", "men",     "mens",
    "mer",   "min",   "mine",   "mitt",    "mot",     "mye",  "må",     "ned",     "nei",
    "no",    "noe",   "noen",   "nok",     "nå",      "når",  "og",     "også",    "om",
    "opp",   "oss",   "over",   "på",      "samme",   "seg",  "selv",   "si",      "sin",
    "sine",  "sitt",  "sjøl",   "skal",    "skulle",  "slik", "som",    "så",      "sånn",
    "til",   "ut",    "uten",   "var",     "ved",     "vi",   "vil",    "ville",   "vår",
    "våre",  "vårt",  "være",   "vært",
};
static_assert(std::is_sorted(std::begin(kNorwegian), std::end(kNorwegian)));

constexpr std::string_view kPortuguese[] = {
    "a",      "ainda",  "algo",  "algum",  "alguma",  "algumas", "alguns", "alguém",  "ante",
    "antes",  "ao",     "aos",   "após",   "aquela",  "aquelas", "aquele", "aqueles", "aquilo",
    "as",     "assim",  "até",   "cada",   "com",     "como",    "contra", "cuja",    "cujo",
    "da",     "das",    "de",    "dela",   "delas",   "dele",    "deles",  "depois",  "desde",
    "dessa",  "desse",  "desta", "deste",  "disso",   "do",      "dos",    "e",       "ela",
    "elas",   "ele",    "eles",  "em",     "entre",   "então",   "era",    "eram",    "essa",
    "essas",  "esse",   "esses", "esta",   "estamos", "estar",   "estas",  "estava",  "estavam",
    "este",   "estes",  "estou", "está",   "estão",   "eu",      "foi",    "foram",   "fosse",
    "há",     "isso",   "isto",  "já",     "lhe",     "lhes",    "lo",     "mais",    "mas",
    "me",     "mesma",  "mesmo", "meu",    "meus",    "minha",   "minhas", "muita",   "muito",
    "na",     "nada",   "nas",   "nem",    "nenhum",  "nessa",   "nesse",  "nesta",   "neste",
    "no",     "nos",    "nossa", "nossas", "nosso",   "nossos",  "num",    "numa",    "não",
    "nós",    "o",      "onde",  "os",     "ou",      "outra",   "outras", "outro",   "outros",
    "para",   "pela",   "pelas", "pelo",   "pelos",   "pode",    "podem",  "pois",    "por",
    "porque", "porquê", "porém", "pouco",  "quais",   "qual",    "quando", "quanto",  "quase",
    "que",    "quem",   "quê",   "se",     "seja",    "sem",     "sempre", "ser",     "será",
    "seu",    "seus",   "sob",   "sobre",  "sua",     "suas",    "só",     "também",  "tanto",
    "te",     "tem",    "tenho", "ter",    "teu",     "teus",    "teve",   "tinha",   "tinham",
    "toda",   "todas",  "todo",  "todos",  "tu",      "tua",     "tuas",   "tudo",    "têm",
    "um",     "uma",    "umas",  "uns",    "você",    "vocês",   "vos",    "à",       "às",
    "é",      "és",
};
static_assert(std::is_sorted(std::begin(kPortuguese), std::end(kPortuguese)));

constexpr std::string_view kRomanian[] = {
    "a",        "abia",    "acea",    "aceasta", "această", "acei",   "aceia",   "acel",
    "acela",    "acele",   "acelea",  "acest",   "acesta",  "aceste", "acestea", "acești",
    "aceștia",  "acolo",   "acum",    "ai",      "aici",    "al",     "ale",     "alt",
    "alta",     "altceva", "alte",    "altă",    "alți",    "am",     "ar",      "are",
    "as",       "asta",    "astfel",  "asupra",  "atunci",  "atât",   "au",      "avea",
    "avem",     "aveți",   "azi",     "aș",      "ca",      "care",   "ce",      "cel",
    "celor",    "ceva",    "chiar",   "cine",    "cineva",  "cu",     "cui",     "cum",
    "cumva",    "când",    "cât",     "câte",    "câți",    "că",     "cărei",   "căror",
    "cărui",    "către",   "da",      "dacă",    "dar",     "de",     "deci",    "deja",
    "deoarece", "departe", "despre",  "deși",    "din",     "dintre", "doar",    "după",
    "ea",       "ei",      "el",      "ele",     "era",     "erau",   "este",    "eu",
    "ești",     "face",    "fi",      "fie",     "fiecare", "fiind",  "foarte",  "fost",
    "fără",     "i",       "iar",     "la",      "le",      "li",     "lor",     "lui",
    "mai",      "mea",     "mei",     "mele",    "meu",     "mi",     "mie",     "mine",
    "mult",     "multe",   "multă",   "mulți",   "ne",      "nici",   "nimeni",  "nimic",
    "niște",    "noastre", "noastră", "noi",     "nostru",  "noștri", "nu",      "o",
    "ori",      "oricare", "orice",   "pe",      "pentru",  "peste",  "poate",   "prea",
    "prin",     "printre", "sa",      "sale",    "sau",     "se",     "sub",     "sunt",
    "suntem",   "sunteți", "sus",     "să",      "său",     "ta",     "tale",    "te",
    "tine",     "toate",   "toată",   "tot",     "totuși",  "toți",   "tu",      "tău",
    "un",       "una",     "unde",    "unei",    "unele",   "uneori", "unor",    "unui",
    "unul",     "vi",      "voastre", "voastră", "voi",     "vom",    "vor",     "vostru",
    "voștri",   "vreo",    "vreun",   "vă",      "îi",      "îl",     "îmi",     "în",
    "înainte",  "încă",    "între",   "îți",     "și",      "ți",     "ție",
};
static_assert(std::is_sorted(std::begin(kRomanian), std::end(kRomanian)));

constexpr std::string_view kRussian[] = {
    "а",       "без",     "более",   "больше",  "будет", "будто", "бы",      "был",     "была",
    "были",    "было",    "быть",    "в",       "вам",   "вами",  "вас",     "ваш",     "ваша",
    "ваше",    "ваши",    "вдруг",   "ведь",    "во",    "вот",   "все",     "всегда",  "всего",
    "всех",    "всё",     "вы",      "где",     "да",    "даже",  "для",     "до",      "его",
    "ее",      "ей",      "ему",     "если",    "есть",  "еще",   "ещё",     "её",      "ж",
    "же",      "за",      "здесь",   "и",       "из",    "или",   "им",      "ими",     "их",
    "к",       "как",     "какая",   "какие",   "какой", "когда", "конечно", "которая", "которого",
    "которое", "которой", "которые", "который", "кто",   "куда",  "ли",      "либо",    "лишь",
    "между",   "меня",    "мне",     "мной",    "мое",   "может", "можно",   "мои",     "мой",
    "моя",     "моё",     "мы",      "на",      "над",   "надо",  "наконец", "нас",     "наш",
    "наша",    "наше",    "наши",    "не",      "него",  "нее",   "ней",     "нельзя",  "нет",
    "неё",     "ни",      "нибудь",  "никогда", "ним",   "них",   "ничего",  "но",      "ну",
    "о",       "об",      "один",    "он",      "она",   "они",   "оно",     "опять",   "от",
    "очень",   "перед",   "по",      "под",     "пока",  "после", "потом",   "потому",  "почему",
    "почти",   "при",     "про",     "раз",     "с",     "сам",   "сама",    "сами",    "само",
    "своей",   "свои",    "свой",    "своя",    "себе",  "себя",  "со",      "совсем",  "так",
    "такая",   "такие",   "такое",   "такой",   "там",   "твои",  "твой",    "твоя",    "тебе",
    "тебя",    "тем",     "теперь",  "то",      "тобой", "тогда", "того",    "тоже",    "той",
    "только",  "том",     "тот",     "ту",      "тут",   "ты",    "у",       "уж",      "уже",
    "хоть",    "хотя",    "чего",    "чей",     "чем",   "через", "что",     "чтоб",    "чтобы",
    "чуть",    "эта",     "эти",     "это",     "этого", "этой",  "этом",    "этот",    "эту",
    "я",
};
static_assert(std::is_sorted(std::begin(kRussian), std::end(kRussian)));

constexpr std::string_view kSpanish[] = {
    "a",        "al",       "algo",     "alguna",   "algunas",  "alguno",  "algunos",  "algún",
    "ante",     "antes",    "aquel",    "aquella",  "aquellas", "aquello", "aquellos", "aquí",
    "así",      "aun",      "aunque",   "aún",      "bien",     "cada",    "casi",     "como",
    "con",      "contra",   "cual",     "cuales",   "cuando",   "cuanto",  "cuál",     "cuándo",
    "cuánto",   "cómo",     "de",       "del",      "desde",    "donde",   "dos",      "durante",
    "dónde",    "e",        "el",       "ella",     "ellas",    "ellos",   "en",       "entre",
    "era",      "eran",     "eras",     "eres",     "es",       "esa",     "esas",     "ese",
    "eso",      "esos",     "esta",     "estaba",   "estaban",  "estado",  "estamos",  "estar",
    "estas",    "este",     "esto",     "estos",    "estoy",    "está",    "están",    "fue",
    "fueron",   "ha",       "haber",    "había",    "habían",   "han",     "has",      "hasta",
    "hay",      "he",       "hemos",    "la",       "las",      "le",      "les",      "lo",
    "los",      "me",       "mi",       "mientras", "mis",      "mismo",   "mucho",    "muchos",
    "muy",      "más",      "mí",       "nada",     "ni",       "no",      "nos",      "nosotras",
    "nosotros", "nuestra",  "nuestras", "nuestro",  "nuestros", "nunca",   "o",        "os",
    "otra",     "otras",    "otro",     "otros",    "para",     "pero",    "poco",     "por",
    "porque",   "que",      "quien",    "quienes",  "quién",    "qué",     "se",       "sea",
    "sean",     "según",    "ser",      "será",     "serán",    "si",      "sido",     "siempre",
    "sin",      "sino",     "sobre",    "sois",     "solo",     "somos",   "son",      "soy",
    "su",       "sus",      "suya",     "suyo",     "sí",       "sólo",    "también",  "tampoco",
    "tan",      "tanto",    "te",       "tener",    "tengo",    "tenía",   "tiene",    "tienen",
    "toda",     "todas",    "todo",     "todos",    "tu",       "tus",     "tuya",     "tuyo",
    "tú",       "u",        "un",       "una",      "unas",     "uno",     "unos",     "usted",
    "ustedes",  "vosotras", "vosotros", "vuestra",  "vuestras", "vuestro", "vuestros", "y",
    "ya",       "yo",       "él",
};
static_assert(std::is_sorted(std::begin(kSpanish), std::end(kSpanish)));

constexpr std::string_view kSwedish[] = {
    "alla",   "allt",   "andra",  "att",   "av",    "bara",  "blev",  "bli",    "blir",   "blivit",
    "bort",   "både",   "de",     "dem",   "den",   "denna", "deras", "dess",   "dessa",  "det",
    "detta",  "dig",    "din",    "dina",  "ditt",  "dock",  "du",    "där",    "då",     "efter",
    "eller",  "en",     "er",     "era",   "ert",   "ett",   "fast",  "fick",   "från",   "får",
    "för",    "före",   "ha",     "hade",  "han",   "hans",  "har",   "henne",  "hennes", "hon",
    "honom",  "hos",    "hur",    "här",   "i",     "icke",  "igen",  "in",     "inga",   "ingen",
    "inget",  "innan",  "inte",   "ja",    "jag",   "ju",    "kan",   "kommer", "kunde",  "kunna",
    "man",    "med",    "mellan", "men",   "mer",   "mig",   "min",   "mina",   "mitt",   "mot",
    "mycket", "många",  "måste",  "ned",   "nej",   "ni",    "nog",   "nu",     "när",    "någon",
    "något",  "några",  "och",    "också", "om",    "oss",   "på",    "redan",  "samma",  "sedan",
    "sig",    "sin",    "sina",   "sitt",  "själv", "ska",   "skall", "skulle", "som",    "så",
    "sådan",  "sådana", "sådant", "till",  "under", "upp",   "ut",    "utan",   "vad",    "var",
    "vara",   "varför", "varit",  "varje", "vars",  "vart",  "vem",   "vi",     "vid",    "vilka",
    "vilken", "vilket", "vill",   "ville", "vår",   "våra",  "vårt",  "än",     "är",     "åt",
    "över",
};
static_assert(std::is_sorted(std::begin(kSwedish), std::end(kSwedish)));

constexpr std::string_view kTurkish[] = {
    "acaba",   "ama",      "ancak",      "artık",   "aslında",  "az",     "bana",    "bazen",
    "bazı",    "belki",    "ben",        "benden",  "beni",     "benim",  "beri",    "bile",
    "bir",     "biraz",    "biri",       "birkaç",  "birçok",   "birşey", "biz",     "bizden",
    "bize",    "bizi",     "bizim",      "bu",      "buna",     "bunda",  "bundan",  "bunlar",
    "bunları", "bunların", "bunu",       "bunun",   "burada",   "böyle",  "da",      "daha",
    "dahi",    "de",       "defa",       "değil",   "diye",     "diğer",  "dolayı",  "en",
    "eğer",    "gibi",     "göre",       "hangi",   "hatta",    "hem",    "hep",     "hepsi",
    "her",     "herkes",   "hiç",        "hiçbir",  "ile",      "ise",    "için",    "işte",
    "kadar",   "karşı",    "kendi",      "kendine", "kendini",  "ki",     "kim",     "kime",
    "kimi",    "kimse",    "madem",      "mi",      "mu",       "mü",     "mı",      "nasıl",
    "ne",      "neden",    "nedir",      "nerede",  "nereye",   "niye",   "niçin",   "o",
    "olan",    "olarak",   "oldu",       "olduğu",  "olduğunu", "olmak",  "olsa",    "olur",
    "ona",     "ondan",    "onlar",      "onlara",  "onlardan", "onları", "onların", "onu",
    "onun",    "orada",    "oysa",       "pek",     "rağmen",   "sadece", "sana",    "sanki",
    "sen",     "senden",   "seni",       "senin",   "siz",      "sizden", "size",    "sizi",
    "sizin",   "sonra",    "tarafından", "tüm",     "var",      "ve",     "veya",    "ya",
    "yani",    "yapmak",   "yerine",     "yine",    "yok",      "zaten",  "çok",     "çünkü",
    "öyle",    "üzere",    "şey",        "şimdi",   "şu",       "şuna",   "şunda",   "şundan",
    "şunu",    "şunun",    "şöyle",
};
static_assert(std::is_sorted(std::begin(kTurkish), std::end(kTurkish)));

constexpr StopWords kLists[] = {
    {"arabic", kArabic},     {"catalan", kCatalan},     {"danish", kDanish},
    {"dutch", kDutch},       {"english", kEnglish},     {"finnish", kFinnish},
    {"french", kFrench},     {"german", kGerman},       {"greek", kGreek},
    {"hindi", kHindi},       {"hungarian", kHungarian}, {"indonesian", kIndonesian},
    {"italian", kItalian},   {"norwegian", kNorwegian}, {"portuguese", kPortuguese},
    {"romanian", kRomanian}, {"russian", kRussian},     {"spanish", kSpanish},
    {"swedish", kSwedish},   {"turkish", kTurkish}};

}  // namespace

bool StopWords::contains(std::string_view word) const {
  return std::binary_search(words.begin(), words.end(), word);
}

const StopWords* find_stop_words(std::string_view language) {
  const auto* list = std::find_if(std::begin(kLists), std::end(kLists),
                                  [&](const StopWords& l) { return l.language == language; });
  return list == std::end(kLists) ? nullptr : list;
}

}  // namespace dbsa::text
