// Classes of characters as BERT's tokenizers see them.
//
// Hugging Face takes them from Unicode 8 (whitespace and lower case from the newest). Equal to it
// on every code point; tests/tokenizer/reference holds what it says.
#pragma once

namespace dbsa {

// What clean_text removes: U+0000, U+FFFD and the categories Cc, Cf, Co except tab and line ends.
bool is_bert_control(char32_t c);

// What strip_accents removes from decomposed text: category Mn.
bool is_bert_accent(char32_t c);

// What is a separate piece: category P, and all of ASCII that is no letter, digit or space.
bool is_bert_punctuation(char32_t c);

// What handle_chinese_chars puts between spaces.
bool is_chinese_character(char32_t c);

}  // namespace dbsa
