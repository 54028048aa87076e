// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {FixedPoint} from "../../src/lib/FixedPoint.sol";
import {RiskParameters, RiskParametersDecoder} from "../../src/lib/RiskParameters.sol";
import {ExpirySurface, Market, ScenarioRows} from "../../src/lib/ScenarioRows.sol";
import {VmTest} from "../support/Vm.sol";

/// @notice Gas of the pricing libraries, execution alone: what a rule pays for calling them. tools/gas-report.mjs renders it.
contract PricingGasTest is VmTest {
    uint256 private constant BLACK76_GAS_MAX = 6_000;
    /// @dev The worst allowed challenge; prices may take half of it.
    uint256 private constant CHALLENGE_GAS_MAX = 12_000_000;
    int256 private constant NOW_MS = 1_760_000_000_000;
    int256 private constant DAY_MS = 86_400_000;
    int256 private constant FORWARD = 67_300_000_000;
    int256 private constant LOT = 10_000_000;
    uint256 private constant EXPIRIES = 24;
    uint256 private constant ROWS = 16;

    bytes private _risk;

    function setUp() external {
        _risk = vm.parseJsonBytes(vm.readFile("vectors/solidity/rows.json"), ".groups[0].parameters");
    }

    function testGas_functions() external {
        int256[3] memory sizes = [FixedPoint.ONE / 100, FixedPoint.ONE / 2, 3 * FixedPoint.ONE];
        uint256 most = 0;
        for (uint256 i = 0; i < 3; ++i) {
            for (int256 strike = FORWARD / 4; strike < 4 * FORWARD; strike += FORWARD / 8) {
                uint256 before = gasleft();
                int256 value = FixedPoint.black76(FORWARD, strike, sizes[i], true);
                uint256 gas = before - gasleft();
                vm.assertTrue(value >= 0);
                if (gas > most) most = gas;
            }
        }
        record("01 Black-76, one value", most);
        vm.assertLt(most, BLACK76_GAS_MAX, "Black-76");
        uint256 start = gasleft();
        int256 result = FixedPoint.lnQ48(FixedPoint.ONE / 3);
        record("02 ln", start - gasleft());
        vm.assertTrue(result < 0);
        start = gasleft();
        result = FixedPoint.expQ48(-FixedPoint.ONE / 3);
        record("03 exp", start - gasleft());
        vm.assertTrue(result > 0);
        start = gasleft();
        result = FixedPoint.normalCdfQ48(FixedPoint.ONE / 3);
        record("04 normal distribution", start - gasleft());
        vm.assertTrue(result > 0);
    }

    function testGas_parameters() external {
        bytes memory risk = _risk;
        uint256 source;
        assembly ("memory-safe") {
            source := add(risk, 0x20)
        }
        uint256 start = gasleft();
        (bool isValid,) = RiskParametersDecoder.decode(source, risk.length);
        record("05 risk parameters, decoded and checked", start - gasleft());
        vm.assertTrue(isValid);
    }

    function testGas_row() external {
        RiskParameters memory parameters = decoded();
        Market memory market = marketOfExpiries();
        ScenarioRows.Pricer memory pricer;
        int256[] memory row = new int256[](40);
        uint256 start = gasleft();
        uint256 refusal = ScenarioRows.prepare(pricer, parameters, market, market.surfaces[EXPIRIES - 1].expiryMs, LOT);
        record("06 preparation of the last of 24 expiries", start - gasleft());
        vm.assertEq(refusal, 0);
        start = gasleft();
        refusal = ScenarioRows.price(pricer, parameters, 3, 70_000_000_000, row);
        record("07 row of an option, 39 scenarios", start - gasleft());
        vm.assertEq(refusal, 0);
        start = gasleft();
        refusal = ScenarioRows.price(pricer, parameters, 2, 0, row);
        record("08 row of a future", start - gasleft());
        vm.assertEq(refusal, 0);
    }

    /// @notice What a full rows cycle asks for, each option of another expiry so that no preparation is shared.
    function testGas_rowsCycle() external {
        RiskParameters memory parameters = decoded();
        Market memory market = marketOfExpiries();
        int256[] memory row = new int256[](40);
        uint256 start = gasleft();
        ScenarioRows.Pricer memory pricer;
        uint256 refusals = 0;
        for (uint256 i = 0; i < ROWS; ++i) {
            refusals += ScenarioRows.prepare(
                pricer, parameters, market, market.surfaces[EXPIRIES - 1 - i].expiryMs, LOT
            );
            refusals += ScenarioRows.price(pricer, parameters, 3 + i % 2, 60_000_000_000 + int256(i) * 1e9, row);
            (bool isPriced,) = ScenarioRows.lotChargesOf(parameters, 3, LOT, market.index);
            vm.assertTrue(isPriced);
        }
        uint256 gas = start - gasleft();
        record("09 16 option rows of 16 expiries", gas);
        vm.assertEq(refusals, 0);
        vm.assertLt(gas, CHALLENGE_GAS_MAX / 2, "rows cycle");
    }

    function record(string memory name, uint256 gas) private {
        vm.snapshotValue("pricing", name, gas);
    }

    function decoded() private view returns (RiskParameters memory parameters) {
        bytes memory risk = _risk;
        uint256 source;
        assembly ("memory-safe") {
            source := add(risk, 0x20)
        }
        (, parameters) = RiskParametersDecoder.decode(source, risk.length);
    }

    /// @dev Expiries from inside the averaging window to two years.
    function marketOfExpiries() private pure returns (Market memory market) {
        market.reportMs = NOW_MS;
        market.index = 67_000_000_000;
        market.surfaces = new ExpirySurface[](EXPIRIES);
        for (uint256 i = 0; i < EXPIRIES; ++i) {
            ExpirySurface memory surface = market.surfaces[i];
            surface.expiryMs = i == 0 ? NOW_MS + 60_000 : NOW_MS + 30 * int256(i) * DAY_MS;
            surface.forward = FORWARD;
            surface.realisedAverage = i == 0 ? market.index : int256(0);
            surface.a = 120_000_000;
            surface.b = 400_000_000;
            surface.rho = -200_000_000;
            surface.m = 20_000_000;
            surface.s = 250_000_000;
        }
    }
}
