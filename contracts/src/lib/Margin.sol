// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cells} from "./Cells.sol";
import {Limits} from "./Limits.sol";
import {Parameters, ParameterReader} from "./ParameterStore.sol";
import {Cell, State, StateWitness} from "./StateWitness.sol";

/// @notice Micro-USDC, as in packages/ledger/src/margin.ts.
struct MarginFigures {
    int256 cash;
    int256 credit;
    /// @dev cash + Σ pending funding + Σ size·mark.
    int256 equity;
    /// @dev Equity where every index has moved to its slow average, gains ignored.
    int256 equityAverage;
    int256 pendingFunding;
    int256 scenario;
    int256 addOns;
    int256 initial;
    int256 maintenance;
    bool marksUsable;
}

/// @title What an account is worth and what it must keep
/// @notice docs/spec/ledger.md, Valuation of an account: the same integers as packages/ledger/src/margin.ts.
/// @dev Unchecked: sizes are below 2^31, rows and add-ons below 2^40, positions at most 128 and a few per cycle, funding below
/// 2^86, cash below 2^53; no sum or product comes near 2^255. Cells of a hostile witness have the same widths.
library Margin {
    using StateWitness for *;
    using ParameterReader for Parameters;

    uint256 private constant SCENARIO_COUNT = 39;
    uint256 private constant VOLATILITY_MOVE_COUNT = 3;
    int256 private constant BILLION = 1e9;

    /// @notice Whether every underlying of a position has its epoch closed and every listed instrument of a position has a row
    /// that is not too old.
    function marksUsable(State memory state, uint256 account, Parameters memory parameters, uint256 timeMs)
        internal
        pure
        returns (bool)
    {
        unchecked {
            int256 ageMax = parameters.scalar(ParameterReader.MARK_AGE_MAX_MS);
            uint256 count = Cells.positionCount(account);
            uint256 position = Cells.tail(account) + Cells.TAIL_POSITIONS;
            for (uint256 i = 0; i < count; ++i) {
                uint256 instrument = _instrumentOf(state, position);
                if (Cells.read8(_underlyingOf(state, instrument) + Cells.UNDERLYING_EPOCH_OPEN) != 0) return false;
                position += Cells.POSITION_BYTES;
                if (Cells.read8(instrument + Cells.INSTRUMENT_STATUS) != Cells.STATUS_LISTED) continue;
                if (Cells.read(instrument + Cells.INSTRUMENT_ROW_EPOCH, 8) == 0) return false;
                int256 age = int256(timeMs) - int256(Cells.read(instrument + Cells.INSTRUMENT_ROW_TIME_MS, 8));
                if (age > ageMax) return false;
            }
            return true;
        }
    }

    function _instrumentOf(State memory state, uint256 position) private pure returns (uint256) {
        uint256 index = Cells.read(position, 3);
        Cell memory cell = state.instruments.find(index);
        // A position's instrument exists in every valid state.
        if (cell.length == 0) revert StateWitness.CellMissing(index);
        return cell.data;
    }

    function _underlyingOf(State memory state, uint256 instrument) private pure returns (uint256) {
        uint256 index = Cells.read(instrument + Cells.INSTRUMENT_UNDERLYING, 2);
        Cell memory cell = state.underlyings.find(index);
        if (cell.length == 0) revert StateWitness.CellMissing(index);
        return cell.data;
    }

    /// @dev Sums over the positions of one underlying: Σ size·(V[s] − V[0]), one word a scenario.
    struct Sums {
        /// @dev Memory address by underlying number; 0 = no position.
        uint256[8] scenarios;
        uint256[8] underlyings;
    }

    function figuresOf(State memory state, uint256 account, Parameters memory parameters, uint256 timeMs)
        internal
        pure
        returns (MarginFigures memory figures)
    {
        figures = valuesOf(state, account, parameters);
        figures.marksUsable = marksUsable(state, account, parameters, timeMs);
    }

    /// @notice The figures without a look at whether marks are usable.
    function valuesOf(State memory state, uint256 account, Parameters memory parameters)
        internal
        pure
        returns (MarginFigures memory figures)
    {
        unchecked {
            Sums memory sums;
            figures.cash = Cells.cash(account);
            figures.credit = Cells.credit(account);
            uint256 count = Cells.positionCount(account);
            uint256 position = Cells.tail(account) + Cells.TAIL_POSITIONS;
            for (uint256 i = 0; i < count; ++i) {
                _addPosition(state, figures, sums, position, parameters);
                position += Cells.POSITION_BYTES;
            }
            figures.equity += figures.cash + figures.pendingFunding;
            figures.equityAverage = figures.equity;
            for (uint256 i = 0; i < 8; ++i) {
                if (sums.scenarios[i] != 0) _addUnderlying(figures, sums, i, parameters);
            }
            figures.initial = figures.scenario + figures.addOns;
            int256 factor = parameters.scalar(ParameterReader.MAINTENANCE_FACTOR_PPB);
            // Ceil: the account bears the remainder.
            figures.maintenance = -_divFloor(-figures.scenario * factor, BILLION) + figures.addOns;
        }
    }

    function _addPosition(
        State memory state,
        MarginFigures memory figures,
        Sums memory sums,
        uint256 position,
        Parameters memory parameters
    ) private pure {
        unchecked {
            uint256 instrument = _instrumentOf(state, position);
            int256 size = Cells.readSigned32(position + Cells.POSITION_SIZE);
            figures.pendingFunding += Cells.pendingFundingFloor(instrument, position);
            // The rows' part of equity; cash and funding come at the end.
            figures.equity += size * int256(Cells.rowValue(instrument, 0));
            figures.addOns += _addOns(instrument, size, parameters);
            uint256 number = Cells.read(instrument + Cells.INSTRUMENT_UNDERLYING, 2);
            if (number >= Limits.UNDERLYINGS_MAX) revert StateWitness.CellMissing(number);
            if (sums.scenarios[number] == 0) {
                uint256[SCENARIO_COUNT] memory scenarios;
                uint256 offset;
                assembly ("memory-safe") {
                    offset := scenarios
                }
                sums.scenarios[number] = offset;
                sums.underlyings[number] = _underlyingOf(state, instrument);
            }
            _addRow(sums.scenarios[number], instrument + Cells.INSTRUMENT_ROW, size);
        }
    }

    /// @dev The 32 bytes at `data`, turned round: row values are five bytes little-endian, six of them lie from its low end.
    function _sixValues(uint256 data) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(data)
            let mask := 0x00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF
            word := or(and(shr(8, word), mask), shl(8, and(word, mask)))
            mask := 0x0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF
            word := or(and(shr(16, word), mask), shl(16, and(word, mask)))
            mask := 0x00000000FFFFFFFF00000000FFFFFFFF00000000FFFFFFFF00000000FFFFFFFF
            word := or(and(shr(32, word), mask), shl(32, and(word, mask)))
            mask := 0x0000000000000000FFFFFFFFFFFFFFFF0000000000000000FFFFFFFFFFFFFFFF
            word := or(and(shr(64, word), mask), shl(64, and(word, mask)))
            word := or(shr(128, word), shl(128, word))
        }
    }

    /// @dev Adds size·(V[s] − V[0]) for s = 0 … 38, six scenarios a word.
    function _addRow(uint256 scenarios, uint256 row, int256 size) private pure {
        unchecked {
            uint256 end = scenarios + 32 * SCENARIO_COUNT;
            uint256 word = _sixValues(row);
            uint256 mark = word & 0xFFFFFFFFFF;
            while (true) {
                uint256 wordEnd = scenarios + 192 < end ? scenarios + 192 : end;
                assembly ("memory-safe") {
                    for {} lt(scenarios, wordEnd) { scenarios := add(scenarios, 32) } {
                        mstore(scenarios, add(mload(scenarios), mul(size, sub(and(word, 0xFFFFFFFFFF), mark))))
                        word := shr(40, word)
                    }
                }
                if (scenarios == end) return;
                row += 30;
                word = _sixValues(row);
            }
        }
    }

    /// @dev Greatest of the row's values; those beyond the scenarios are 0.
    function _rowMaximum(uint256 row) private pure returns (uint256 most) {
        unchecked {
            for (uint256 first = 0; first < SCENARIO_COUNT; first += 6) {
                uint256 word = _sixValues(row);
                row += 30;
                // The last word holds three scenarios and the zero behind them; what follows is another field.
                uint256 count = SCENARIO_COUNT - first < 6 ? SCENARIO_COUNT - first : 6;
                assembly ("memory-safe") {
                    for {} count { count := sub(count, 1) } {
                        let value := and(word, 0xFFFFFFFFFF)
                        if gt(value, most) { most := value }
                        word := shr(40, word)
                    }
                }
            }
        }
    }

    function _addOns(uint256 instrument, int256 size, Parameters memory parameters) private pure returns (int256 sum) {
        unchecked {
            uint256 offset = instrument + (size < 0 ? Cells.INSTRUMENT_SHORT_ADD_ON : Cells.INSTRUMENT_LONG_ADD_ON);
            int256 lots = size < 0 ? -size : size;
            sum = lots * int256(Cells.read(offset, 5));
            uint256 place = Cells.isOption(instrument)
                ? ParameterReader.OPTION_CONCENTRATION_LOTS
                : ParameterReader.LINEAR_CONCENTRATION_LOTS;
            int256 beyond = lots - parameters.scalar(place);
            if (beyond > 0) sum += beyond * int256(Cells.read(instrument + Cells.INSTRUMENT_CONCENTRATION_ADD_ON, 5));
        }
    }

    function _addUnderlying(
        MarginFigures memory figures,
        Sums memory sums,
        uint256 number,
        Parameters memory parameters
    ) private pure {
        unchecked {
            uint256 scenarios = sums.scenarios[number];
            int256 worst = 0;
            for (uint256 s = 0; s < SCENARIO_COUNT; ++s) {
                int256 value = _scenario(scenarios, s);
                if (value < worst) worst = value;
            }
            figures.scenario -= worst;
            uint256 underlying = sums.underlyings[number];
            int256 index = int256(Cells.read(underlying + Cells.UNDERLYING_INDEX, 8));
            if (index == 0) return;
            int256 average = int256(Cells.read(underlying + Cells.UNDERLYING_INDEX_AVERAGE, 8));
            // Solidity divides towards zero, as the specification wants here.
            int256 move = ((average - index) * BILLION) / index;
            if (move == 0) return;
            int256 change = _interpolatedChangeFloor(scenarios, move, parameters);
            if (change < 0) figures.equityAverage += change;
        }
    }

    function _scenario(uint256 scenarios, uint256 s) private pure returns (int256) {
        return int256(uint256(Cells.readWord(scenarios + 32 * s)));
    }

    /// @dev The nine spot moves by increasing size with their places in the parameter set; 0 is first there, so the grid is a
    /// rotation of it. Linear between neighbours, clamped to the outermost, one floor over all positions.
    function _interpolatedChangeFloor(uint256 scenarios, int256 move, Parameters memory parameters)
        private
        pure
        returns (int256)
    {
        unchecked {
            uint256[] memory places = _grid(parameters);
            uint256 last = places.length - 1;
            int256 lowest = parameters.spotMovePpb(places[0]);
            int256 highest = parameters.spotMovePpb(places[last]);
            if (move < lowest) move = lowest;
            if (move > highest) move = highest;
            uint256 upper = 1;
            while (upper < last && parameters.spotMovePpb(places[upper]) < move) ++upper;
            int256 low = parameters.spotMovePpb(places[upper - 1]);
            int256 high = parameters.spotMovePpb(places[upper]);
            int256 weighted = _scenario(scenarios, VOLATILITY_MOVE_COUNT * places[upper - 1]) * (high - move)
                + _scenario(scenarios, VOLATILITY_MOVE_COUNT * places[upper]) * (move - low);
            return _divFloor(weighted, high - low);
        }
    }

    function _grid(Parameters memory parameters) private pure returns (uint256[] memory places) {
        unchecked {
            uint256 count = ParameterReader.SPOT_MOVE_COUNT;
            places = new uint256[](count);
            uint256 to = 0;
            // Places 1 … 8 increase strictly; 0 goes where its value is.
            bool isZeroPlaced = false;
            for (uint256 place = 1; place < count; ++place) {
                if (!isZeroPlaced && parameters.spotMovePpb(place) > 0) {
                    places[to++] = 0;
                    isZeroPlaced = true;
                }
                places[to++] = place;
            }
            if (!isZeroPlaced) places[to] = 0;
        }
    }

    /// @dev divisor > 0.
    function _divFloor(int256 value, int256 divisor) private pure returns (int256 quotient) {
        unchecked {
            quotient = value / divisor;
            if (value < 0 && quotient * divisor != value) quotient -= 1;
        }
    }

    /// @notice What the account may take out: 0 with credit or unusable marks.
    function withdrawable(MarginFigures memory figures) internal pure returns (int256 amount) {
        unchecked {
            if (!figures.marksUsable || figures.credit != 0) return 0;
            amount = (figures.equity < figures.equityAverage ? figures.equity : figures.equityAverage) - figures.initial;
            if (figures.cash < amount) amount = figures.cash;
            if (figures.cash + figures.pendingFunding < amount) amount = figures.cash + figures.pendingFunding;
            if (amount < 0) amount = 0;
        }
    }

    /// @notice The margin rule after a cycle against its start, same marks (packages/ledger/src/margin.ts, marginRuleHolds).
    function ruleHolds(MarginFigures memory before, MarginFigures memory afterwards) internal pure returns (bool) {
        unchecked {
            int256 credit = afterwards.credit;
            int256 equity = afterwards.equity;
            if (equity < -credit && equity < before.equity) return false;
            if (equity + credit >= afterwards.initial) return true;
            int256 floor = before.equity < 0 ? before.equity : int256(0);
            return afterwards.initial < before.initial && equity - afterwards.initial >= before.equity - before.initial
                && equity >= floor
                && (before.equity <= 0 || equity * before.initial >= before.equity * afterwards.initial);
        }
    }

    /// @notice Σ |size|·mark over the account's positions.
    function grossOf(State memory state, uint256 account) internal pure returns (uint256 sum) {
        unchecked {
            uint256 count = Cells.positionCount(account);
            uint256 position = Cells.tail(account) + Cells.TAIL_POSITIONS;
            for (uint256 i = 0; i < count; ++i) {
                uint256 lots = Cells.absolute(Cells.readSigned32(position + Cells.POSITION_SIZE));
                sum += lots * Cells.rowValue(_instrumentOf(state, position), 0);
                position += Cells.POSITION_BYTES;
            }
        }
    }

    /// @notice Σ |size|·max V over the account's positions, rows as they stand.
    function exposureOf(State memory state, uint256 account) internal pure returns (uint256 sum) {
        unchecked {
            uint256 count = Cells.positionCount(account);
            uint256 position = Cells.tail(account) + Cells.TAIL_POSITIONS;
            for (uint256 i = 0; i < count; ++i) {
                uint256 instrument = _instrumentOf(state, position);
                uint256 most = _rowMaximum(instrument + Cells.INSTRUMENT_ROW);
                sum += Cells.absolute(Cells.readSigned32(position + Cells.POSITION_SIZE)) * most;
                position += Cells.POSITION_BYTES;
            }
        }
    }
}
