/// Tables that fit a screen: resources, workers, losses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "taskscope/console/panels/actions.h"
#include "taskscope/console/panels/palette.h"
#include "taskscope/console/session/model.h"

namespace taskscope::console::panels {

struct TableColumn {
  std::string title;
  bool number = false;  ///< in the font for numbers, to the right
  float weight = 1;     ///< of the width
};
struct TableCell {
  std::string text;
  double order = 0;  ///< sorted by this where the column is a number
};
struct TableRow {
  std::vector<TableCell> cells;
  std::optional<Action> on_click{};
  Colour dot = 0;  ///< 0: none
  bool dim = false;
};
struct TableView {
  std::vector<TableColumn> columns;
  std::vector<TableRow> rows;
  std::string empty;     ///< the sentence that stands for no rows
  std::size_t more = 0;  ///< rows that were left out
};

[[nodiscard]] TableView worker_table(const session::Model& model);
[[nodiscard]] TableView loss_table(const session::Model& model);

/// Sorts rows by a column; numbers by their value.
void sort_rows(TableView& table, std::size_t column, bool descending);

}  // namespace taskscope::console::panels
