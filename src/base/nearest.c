/* Levenshtein distance over three short rows, two letters in the wrong order counted as one fault; no allocation, so it can
 * be used before anything is set up. */
#include "base/nearest.h"

#include <ctype.h>

static int letter(char c)
{
    return c == '-' ? '_' : tolower((unsigned char)c);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t distance(struct str a, struct str b)
{
    size_t rows[3][NEAREST_MAX_BYTES + 1];
    assert(b.len <= NEAREST_MAX_BYTES);
    for (size_t j = 0; j <= b.len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *higher = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            bool same = letter(a.s[i - 1]) == letter(b.s[j - 1]);
            row[j] = least(above[j - 1] + !same, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && letter(a.s[i - 1]) == letter(b.s[j - 2]) &&
                letter(a.s[i - 2]) == letter(b.s[j - 1])) {
                row[j] = least(row[j], higher[j - 2] + 1);
            }
        }
    }
    return rows[a.len % 3][b.len];
}

int nearest(struct str word, const char *const *names, size_t count)
{
    int best = -1, begun = -1;
    size_t best_distance = SIZE_MAX, begun_count = 0;
    if (word.len == 0 || word.len > NEAREST_MAX_BYTES) {
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        struct str name = str_of(names[i]);
        if (name.len > NEAREST_MAX_BYTES) {
            continue;
        }
        size_t longer = name.len > word.len ? name.len : word.len;
        size_t far = distance(word, name);
        if (far <= longer / 3 && far < best_distance) {
            best = (int)i;
            best_distance = far;
        }
        if (word.len >= 3 && word.len < name.len && distance(word, str_head(name, word.len)) == 0) {
            begun = (int)i;
            begun_count++;
        }
    }
    return best >= 0 ? best : begun_count == 1 ? begun : -1;
}
